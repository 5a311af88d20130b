package relay

import "fmt"

const maxHealthCheck = 1 << 10 // bytes of a Health-Check header: anybody may send one

// watchdog gives back the Health-Check header, as Cisco's relays do for their own monitoring.
func (s *Service) watchdog(r *request) (any, error) {
	value := r.Header.Get("Health-Check")
	if value == "" {
		return nil, fatal(CodeHealthCheck, nil, "Invalid Health Check: the Health-Check header is missing.")
	}
	if len(value) > maxHealthCheck {
		return nil, fatal(CodeHealthCheck, nil, fmt.Sprintf(
			"Invalid Health Check: the Health-Check header is larger than %d bytes.", maxHealthCheck))
	}
	return value, nil
}
