from spacy_clinner.cli import main

main()
