"""From a recipe to figures: what commands, reports and measurements call."""
