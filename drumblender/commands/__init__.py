"""The four commands: parsing and printing. Nothing but a command imports from here."""
