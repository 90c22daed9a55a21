// Half precision is left out.
