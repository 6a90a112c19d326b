"""Who may use the page and the API: named users, tokens of machines, their roles."""
