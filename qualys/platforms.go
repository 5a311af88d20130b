package qualys

// Platform is one of Qualys's shared platforms.
type Platform struct {
	Name    string // "US1", as Qualys names it
	Gateway string // base of the API calls
	UI      string // base of links for people; it does not follow from the gateway by a pattern (US1, EU1)
}

// Platforms returns the shared platforms of qualys.com/platform-identification (as of May 2024). Private platforms and newer ones have gateways
// that are not listed: never take the list for complete.
func Platforms() []Platform {
	return []Platform{
		{"US1", "https://gateway.qg1.apps.qualys.com", "https://qualysguard.qualys.com"},
		{"US2", "https://gateway.qg2.apps.qualys.com", "https://qualysguard.qg2.apps.qualys.com"},
		{"US3", "https://gateway.qg3.apps.qualys.com", "https://qualysguard.qg3.apps.qualys.com"},
		{"US4", "https://gateway.qg4.apps.qualys.com", "https://qualysguard.qg4.apps.qualys.com"},
		{"EU1", "https://gateway.qg1.apps.qualys.eu", "https://qualysguard.qualys.eu"},
		{"EU2", "https://gateway.qg2.apps.qualys.eu", "https://qualysguard.qg2.apps.qualys.eu"},
		{"EU3", "https://gateway.qg3.apps.qualys.it", "https://qualysguard.qg3.apps.qualys.it"},
		{"IN1", "https://gateway.qg1.apps.qualys.in", "https://qualysguard.qg1.apps.qualys.in"},
		{"CA1", "https://gateway.qg1.apps.qualys.ca", "https://qualysguard.qg1.apps.qualys.ca"},
		{"AE1", "https://gateway.qg1.apps.qualys.ae", "https://qualysguard.qg1.apps.qualys.ae"},
		{"UK1", "https://gateway.qg1.apps.qualys.co.uk", "https://qualysguard.qg1.apps.qualys.co.uk"},
		{"AU1", "https://gateway.qg1.apps.qualys.com.au", "https://qualysguard.qg1.apps.qualys.com.au"},
		{"KSA1", "https://gateway.qg1.apps.qualysksa.com", "https://qualysguard.qg1.apps.qualysksa.com"},
	}
}
