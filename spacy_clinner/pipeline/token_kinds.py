"""What a token can be where a sentence, a line or a section may end."""

import re

from spacy.strings import StringStore

# What a token can be for a sentence boundary; a token may be several.
SPACE, NEWLINE, BLANK_LINE = 1, 2, 4  # white space; with a line end in it; with an empty line
END, DOTTED, ABBREVIATION, TITLE = 8, 16, 32, 64  # "."; "b.i.d."; "approx"; "Dr"
LOWER, UPPER, CAPS = 128, 256, 512  # first letter; CAPS: a word without lower-case letters
NUMBER, BULLET, INLINE_BULLET = 1024, 2048, 4096
OPENING, CLOSING, COLON, INITIAL = 8192, 16384, 32768, 65536
STARTER, CONTINUES, NUMERO, LONG = 1 << 17, 1 << 18, 1 << 19, 1 << 20
COMMA, SOFT, LEADER, ANSWER = 1 << 21, 1 << 22, 1 << 23, 1 << 24
SEPARATOR, DOSES, CLOSER, HEADING = 1 << 25, 1 << 26, 1 << 27, 1 << 28
ATTRIBUTE, LETTER = 1 << 29, 1 << 30  # "prev"; what numbers an item: "a", "iv"
LETTERED, JOINS, DIGITS = 1 << 31, 1 << 32, 1 << 33  # "vitamin"; "/"; "98.6"
QUALIFIER = 1 << 34  # "home" in "Home Meds:"
CANDIDATE = NEWLINE | END | DOTTED | INLINE_BULLET | CLOSING | COLON


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Never the end of a sentence: something always follows.
TITLES = _words(
    "dr drs mr mrs ms mx prof rev hon st sr jr vs v.s e.g eg i.e cf viz fig figs ref refs approx "
    "ca esp incl excl resp al st. gen col lt sgt capt"
)
# The end of a sentence only before a word that starts with a capital letter.
ABBREVIATIONS = _words(
    "pt pts wt ht temp dx hx rx tx fx sx abd resp neg pos bilat avg max min vol dept ext tel "
    "mg mcg ug kg g gm gms ml cc dl l cm mm m ft in lb lbs oz hr hrs h min mins sec d wk wks mo "
    "mos yr yrs y yo tab tabs cap caps susp soln inj supp sl po iv im sq sc subq pr pv prn bid tid "
    "qid qd qod qhs hs ac pc q stat a.m p.m am pm p.o i.v i.m s.c b.i.d t.i.d q.i.d q.d q.o.d "
    "q.h.s h.s p.r.n a.c p.c m.d d.o r.n ph.d etc inc ltd co dist art lat med inf sup post ant lig "
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri "
    "occ occas freq sm lg mod gen unilat hosp fam surg psych chr rt e.d"
)
# They stand before what they say something of: the end of a sentence only before a word that is
# written as one starts ("poss. Will follow", but "no prev. MI").
ATTRIBUTES = _words(
    "sig signif evid prev assoc prob poss susp suspic presum incr decr periph intermit intermitt "
    "prox dist resid recur spont nonspec unspec congen cerv thor lumb abdom pelv vasc cereb addl"
)
# After a single capital letter and a full stop, these start a new sentence ("vitamin K. She").
STARTERS = _words(
    "the he she they it his her their its this that these those there patient pt mr mrs ms we i "
    "on in at after before during since for if no denies denied reports however will continue "
    "physical exam examination plan assessment history"
)
# A single capital letter behind one of these is part of a name, and no initial of a person's.
NAMED_BY_LETTERS = _words(
    "hepatitis hep vitamin vit type class grade stage influenza flu strep group factor"
)
# A line that ends with one of these goes on in the next line.
CONTINUERS = _words(
    "a an the of with without and or nor to in on at by for from as is are was were be been no not "
    "his her their this that which who has had have any some into than per via due"
)
# So does one that ends with one of these, when the next line starts with a small letter.
CONTINUERS_IN_LOWER = _words(
    "any recent significant further other new known prior previous acute denies denied denying "
    "without evidence signs symptoms history reports reported including negative positive if "
    "possible probable likely suspected shows showed show reveals revealed demonstrates "
    "demonstrated noted finds found sees saw"
)
# A line that starts with one of these, in small letters, goes on from the line before.
LEADERS = _words("of or and nor for with in on to at from by but than that which who")
# Words that end their line as an answer: "Smoker: No", "Fever<tab>no".
ANSWERS = _words("no none denies denied negative")
SEPARATORS = _words(": - – — = | ; ? [ (")
# After a full stop behind a unit or a dosing abbreviation these go on with the dose.
DOSE = _words(
    "today tonight tomorrow yesterday starting beginning but if when while without which only "
    "daily po orally once twice three four times every each per of in by and or to for at with "
    "then hs qhs subcutaneously subcutaneous sublingual intravenously intravenous intramuscularly "
    "tablet tablets capsule capsules puffs units from on x as until before after through was were "
    "is are long wide diameter total max followed nightly weekly monthly topically via bedtime "
    "ago prior later old old-year taken given had has"
)
# Abbreviations that end a sentence wherever a new clause may follow; the others are subjects
# ("the pt. denies", "abd. soft") or go on with what they stand for.
CLOSERS = _words(
    "mg mcg ug kg g gm gms ml cc dl l cm mm m ft lb lbs oz hr hrs h min mins sec d wk wks mo mos "
    "yr yrs y yo tab tabs cap caps bid tid qid qd qod qhs prn am pm a.m p.m b.i.d t.i.d q.i.d q.d "
    "q.o.d q.h.s p.r.n h.s abd ext dx hx rx tx fx sx"
)
# Headings inside a line, in whatever case: "no fever Resp: cough".
HEADINGS = _words(
    "gen general constitutional heent head eyes ears nose throat neck cv cvs cardiac cor chest "
    "lungs lung pulm pulmonary resp respiratory abd abdomen gi gu ext extremities neuro "
    "neurologic cns skin derm psych msk back spine breasts rectal pmh pmhx psh pshx fh fhx sh shx "
    "ros hpi pe meds labs vitals vs plan assessment impression exam imaging"
)
# Written with a capital letter, these belong to the heading behind them: "Home Meds:", "CT Head:".
QUALIFIERS = _words(
    "home discharge admission current inpatient outpatient recent prior interval active initial "
    "final pertinent physical mental status medical surgical social family neuro pelvic rectal "
    "treatment care left right upper lower ct cta mri us xr x-ray ray pet"
)
BULLETS = _words("- * + • ● ▪ ◦ – — · ‣ o #")
ROMAN = _words("ii iii iv vi vii viii ix")
INLINE_BULLETS = _words("• ● ▪ ◦ ‣")
TERMINATORS = re.compile(r"[.!?。！？…]+")


def token_kind(text: str) -> int:
    """What a token can be for a sentence boundary: the constants above, or-ed."""
    if text.isspace() or not text:
        # Form feed, vertical tab and the separators of Unicode end a line too.
        lines = len(f"{text}.".splitlines()) - 1
        return SPACE | (NEWLINE if lines else 0) | (BLANK_LINE if lines > 1 else 0)
    kind = 0
    lower = text.lower()
    bare = lower.rstrip(".")
    if TERMINATORS.fullmatch(text):
        return END | (SEPARATOR if text == "?" else 0)
    if text[-1] == "." and len(text) > 1:
        kind |= DOTTED
    if text[0].isalpha():
        kind |= LOWER if text[0].islower() else UPPER
        kind |= CAPS if not any(char.islower() for char in text) else 0
        kind |= LONG if len(text) >= 5 else 0
        kind |= INITIAL if len(bare) == 1 and text[0].isupper() else 0
        kind |= INITIAL if bare == "y.o" else 0  # "45 y.o. M": whose age it is follows
    elif bare.isdigit():
        kind |= NUMBER if len(bare) <= 2 else 0
    kind |= DIGITS if text[0].isdigit() else 0
    kind |= JOINS if text in ("/", "&") else 0
    kind |= LETTERED if lower in NAMED_BY_LETTERS else 0
    kind |= TITLE if bare in TITLES else 0
    kind |= ABBREVIATION if bare in ABBREVIATIONS or bare in ATTRIBUTES else 0
    kind |= ATTRIBUTE if bare in ATTRIBUTES else 0
    kind |= LETTER if (len(bare) == 1 and bare.isalpha()) or bare in ROMAN else 0
    kind |= STARTER if lower in STARTERS else 0
    kind |= CONTINUES if lower in CONTINUERS else 0
    kind |= SOFT if lower in CONTINUERS_IN_LOWER else 0
    kind |= LEADER if text in LEADERS else 0
    kind |= ANSWER if lower in ANSWERS else 0
    kind |= SEPARATOR if text in SEPARATORS else 0
    kind |= DOSES if lower in DOSE else 0
    kind |= CLOSER if bare in CLOSERS else 0
    kind |= HEADING if lower in HEADINGS else 0
    kind |= QUALIFIER if lower in QUALIFIERS else 0
    kind |= NUMERO if bare in ("no", "nos", "nr", "#") else 0
    kind |= BULLET if text in BULLETS else 0
    kind |= INLINE_BULLET if text in INLINE_BULLETS else 0
    kind |= OPENING if text in ("(", "[", "{") else 0
    kind |= CLOSING if text in (")", "]", "}", '"', "'", "”", "’", "''") else 0
    kind |= COLON if text == ":" else 0
    kind |= COMMA if text == "," else 0
    return kind


class TokenKinds(dict[int, int]):
    """`token_kind` by the token's `ORTH` hash, filled as words are met."""

    LIMIT = 200_000  # words; base64 and the like must not fill the memory

    def __init__(self, strings: StringStore) -> None:
        super().__init__()
        self.strings = strings

    def __missing__(self, orth: int) -> int:
        if len(self) >= self.LIMIT:
            self.clear()
        kind = self[orth] = token_kind(self.strings[orth])
        return kind
