package nick

// Shape returns one reading of a nick, in the form in which nicks are compared.
var Shape = shape
