package ioc

// Refang is the text that is searched.
func Refang(s string) string {
	text, _ := refang(s)
	return text
}
