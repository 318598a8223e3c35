"""NOTE_NLP of the OMOP CDM 5.4 as its DDL for three databases creates it."""

COLUMNS = """
    note_nlp_id integer NOT NULL,
    note_id integer NOT NULL,
    section_concept_id integer NULL,
    snippet {text250} NULL,
    "offset" {text50} NULL,
    lexical_variant {text250} NOT NULL,
    note_nlp_concept_id integer NULL,
    note_nlp_source_concept_id integer NULL,
    nlp_system {text250} NULL,
    nlp_date date NOT NULL,
    nlp_datetime {time} NULL,
    term_exists {text1} NULL,
    term_temporal {text50} NULL,
    term_modifiers {text2000} NULL
"""
LENGTHS = (1, 50, 250, 2000)
VARCHAR = {f"text{length}": f"varchar({length})" for length in LENGTHS}
TEXT = {f"text{length}": "TEXT" for length in LENGTHS}
KEY = "ALTER TABLE note_nlp ADD CONSTRAINT xpk_note_nlp PRIMARY KEY (note_nlp_id)"


def statements(dialect):
    """The statements that create the table, and its key where the DDL can add one."""
    types = dict(TEXT, time="REAL") if dialect == "sqlite" else dict(VARCHAR, time="TIMESTAMP")
    create = f"CREATE TABLE note_nlp ({COLUMNS.format(**types)})"
    return [create] if dialect == "sqlite" else [create, KEY]
