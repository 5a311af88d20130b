package ioc

// Refang is the text that is searched.
func Refang(s string) string { return string(refang(s).text) }
