"""The words that say where a cue's scope goes on and where it ends."""

from spacy_clinner.pipeline.context.tokens import COMMAS, word_set
from spacy_clinner.pipeline.phrases import PhraseTokenizer

CONJUNCTIONS = ("and", "or", "nor", "/", "&", "and/or", "plus")
ALTERNATIVES = ("or", "nor", "/", "and/or")
COLONS = (":", "：")
# A colon after one of these only introduces the list that the cue speaks about.
INTRODUCES = (
    "following", "symptoms", "symptom", "signs", "sx", "including", "include", "includes", "of",
    "for", "to", "with", "any", "are", "is", "complaints", "conditions", "follows", "below", "none",
    "these", "if", "problems", "drugs", "medications", "findings",
)  # fmt: skip
# What is said of a finding itself, so that a scope does not take it in: "no rash, edema noted".
AFFIRMS = (
    "noted", "present", "normal", "intact", "stable", "improving", "improved", "persists",
    "persistent", "continues", "continued", "remains", "positive", "worse", "worsening", "worsened",
    "better", "1+", "2+", "3+", "4+", "+1", "+2", "+3", "clear", "soft", "wnl", "ctab", "unchanged",
    "resolving", "increasing", "increased", "decreased", "mild", "moderate", "severe", "started",
    "ongoing", "reported", "productive", "controlled", "seen", "elevated", "again",
)  # fmt: skip
# What starts a statement of its own after a comma: "no fever, CXR clear", "no SI, mood low".
SUBJECTS = (
    "cxr", "xr", "kub", "ct", "cta", "mri", "us", "ultrasound", "ekg", "ecg", "echo", "ua", "labs",
    "wbc", "hgb", "mood", "affect", "insight", "judgment", "speech", "lungs", "pulses", "neuro",
    "gait", "pupils", "fundus", "lochia", "vitals", "vs", "bp", "hr", "temp", "wt", "exam",
    "imaging", "pt", "patient", "heent", "cv", "resp", "msk", "psych", "still", "also", "now",
    "currently", "here", "states", "uvula", "tonsils", "tms", "abd", "abdomen", "spleen", "liver",
    "bs", "skin", "incision", "wound", "foley", "bladder", "prostate", "ext", "legs", "trachea",
    "cord", "op", "o/e", "imp", "impression", "dx", "plan", "gave", "got", "took", "finished",
    "known", "prior", "febrile", "appetite", "flexion",
)  # fmt: skip
# Between an order and what it speaks of these do not stand: "NPH, stop when prednisone stops".
BREAKS = (
    ".", ",", ";", "(", ")", "-", "–", "—", "->", "→", "|", "if", "when", "until", "til", "till",
    "for", "after", "once", "in", "on", "at", "by", "because", "due", "with", "since", "only",
    "per", "d/t", "as", "b/c", "w/", "w", "while",
)  # fmt: skip
# Behind one of these, an item of a list is no longer what the cue says: "hold A, continue B".
TURNS = (
    "continue", "cont", "start", "started", "change", "changed", "use", "try", "add", "added",
    "bring", "give", "gave", "took", "switch", "switched", "resume", "recheck", "check", "instead",
    "wants", "want", "asks", "asked", "accepts", "accepted", "prefers", "agrees", "agreed",
    "restart", "restarted", "begin", "began", "requests", "requesting", "elects", "elected",
    "chose", "chooses", "opts", "opted", "consents", "consented", "tolerates", "tolerating",
    "willing", "open", "interested", "only", "requires", "prescribed", "ordered", "offered",
    "->", "→", "=>",
)  # fmt: skip
# What an order is about that heads a list: "hold all BP meds: lisinopril, HCTZ".
LISTED = (
    "meds", "medications", "medication", "medicines", "medicine", "drugs", "following", "these",
    "those", "agents", "antihypertensives", "anticoagulants", "anticoagulation", "antibiotics",
    "abx", "diuretics", "nephrotoxins", "nephrotoxics", "narcotics", "opioids", "opiates",
    "sedatives", "nsaids", "supplements", "vitamins", "pills", "inhalers", "pressors", "statins",
    "psychotropics", "antidepressants", "products", "items", "foods", "treatments", "lines",
    "antipsychotics", "benzos", "rx", "prescriptions", "therapy", "regimen", "otc",
    "steroids", "antiplatelets",
)  # fmt: skip
# Between a drug and the one that takes its place.
SWAPS = ("to", "with", "by")
COMPANY = ("with", "w", "w/")
# A verb that is negated has these before what is there: "cannot walk from back pain".
BESIDE = ("with", "w/", "from", "and")
GRADES = ("1+", "2+", "3+", "4+", "+1", "+2", "+3", "trace")
ITEM_ENDS = (",", ".", ";", ")", "or", "and", "nor", "/")
FOR = ("for",)
# What is not taken or done for a disease leaves the disease: "not taking metformin for diabetes".
TAKING = (
    "taking", "take", "takes", "taken", "using", "use", "uses", "used", "on", "receiving",
    "received", "receive", "given", "give", "started", "tried", "wearing", "seeing", "seen", "need",
    "needs", "needed", "prescribed", "requiring", "required", "require", "stopped", "discontinued",
    "off", "refused", "refuses", "declined", "declines", "held", "deferred", "undergo", "undergone",
    "want", "wants", "recommend", "tolerate",
)  # fmt: skip
# Words that may stand between two negations that cancel each other.
LINKS = (
    "that", "there", "is", "are", "was", "were", "being", "having", "has", "have", "had", "he",
    "she", "they", "say", "state", "of", "be", "been", "any", "the", "to", "a", "an",
)  # fmt: skip


class ScopeWords:
    """Sets of words, as hashes of the tokens that a pipeline's tokenizer makes of them."""

    def __init__(self, cut: PhraseTokenizer) -> None:
        """Look them up.

        cut (PhraseTokenizer): Cuts phrases into tokens.
        """
        self.commas = word_set(cut, COMMAS)
        self.pauses = word_set(cut, (*COMMAS, ";", "."))
        self.conjunctions = word_set(cut, CONJUNCTIONS)
        self.alternatives = word_set(cut, ALTERNATIVES)
        self.ors = self.alternatives - word_set(cut, ("/",))
        self.separators = self.commas | self.conjunctions
        self.colons = word_set(cut, COLONS)
        self.opening = word_set(cut, ("(",))
        self.closing = word_set(cut, (")",))
        self.points = self.separators | self.colons | self.opening | self.closing
        self.introduces = word_set(cut, INTRODUCES) | self.commas | self.conjunctions
        self.numbers = word_set(cut, [str(number) for number in range(100)])
        self.introduces |= self.numbers
        self.stated = word_set(cut, AFFIRMS)
        self.affirms = self.stated | self.numbers
        self.breaks = self.colons | word_set(cut, BREAKS)
        self.swaps = word_set(cut, SWAPS)
        self.listed = word_set(cut, LISTED)
        self.turns = word_set(cut, TURNS)
        self.bars = word_set(cut, ("|",))
        self.company = word_set(cut, COMPANY)
        self.beside = self.commas | word_set(cut, BESIDE)
        self.grades = word_set(cut, GRADES) | self.numbers
        self.item_ends = word_set(cut, ITEM_ENDS)
        self.purpose = word_set(cut, FOR)
        self.subjects = word_set(cut, SUBJECTS)
        self.taking = word_set(cut, TAKING)
        self.links = word_set(cut, LINKS)
