"""Label spaces and synonyms, uncertain and missing values, head / medium / tail, the split by patient."""
