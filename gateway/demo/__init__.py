"""A simulated plant behind real protocol servers, a CRM inbox, the gateway between them, and the story they tell."""
