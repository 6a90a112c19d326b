"""A source folder for Salesforce's command line."""
