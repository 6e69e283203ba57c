"""The ground floor: variables, types, settings, seeds, declarations, records, errors."""
