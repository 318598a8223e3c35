from clinner.cli import main

main()
