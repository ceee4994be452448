"""Label spaces and synonyms, policies for uncertain and missing labels, head / medium / tail, the split by patient."""
