"""People are told: of drift, of releases, of budgets, of models that retire, of a gateway that is away."""
