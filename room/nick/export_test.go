package nick

// Shape is one reading of a nick, as it is compared.
var Shape = shape
