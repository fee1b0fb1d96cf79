"""Find the target config that a source config is or becomes: lineage, identifiers, natural keys."""
