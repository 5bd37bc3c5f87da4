"""The arrows between forms; importing a module registers its arrows."""
