package qualys

import "strings"

// Platform is one of Qualys's shared platforms.
type Platform struct {
	Name    string // "US1", as Qualys names it
	Gateway string // base of the API calls
	UI      string // base of links for people; it does not follow from the gateway by a pattern (US1, EU1)
}

// Platforms returns the shared platforms of qualys.com/platform-identification (as of May 2024, and GOV1
// since). Private platforms and newer ones have gateways that are not listed: never take the list for
// complete.
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
		{"GOV1", "https://gateway.gov1.qualys.us", "https://qualysguard.gov1.qualys.us"},
		{"KSA1", "https://gateway.qg1.apps.qualysksa.com", "https://qualysguard.qg1.apps.qualysksa.com"},
	}
}

// GatewayOf returns the host name of the gateway that goes with the host name of a platform's API server
// or console ("qualysapi.…", "qualysguard.…"), which users know better, and "" for any other host. The
// rule is that of Qualys's own Splunk add-on: the first label changes, but for US1 and EU1. It may be
// wrong for private platforms: use it for a hint.
func GatewayOf(host string) string {
	label, base, _ := strings.Cut(strings.ToLower(host), ".")
	switch {
	case label != "qualysapi" && label != "qualysguard" || base == "":
		return ""
	case base == "qualys.com", base == "qualys.eu":
		return "gateway.qg1.apps." + base
	}
	return "gateway." + base
}
