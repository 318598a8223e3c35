"""Language models: what they are asked, what they answer, and where in the note it stands."""
