package relay

// watchdog gives back the Health-Check header, as Cisco's relays do for their own monitoring.
func (s *Service) watchdog(r *request) (any, error) {
	value := r.Header.Get("Health-Check")
	if value == "" {
		return nil, fatal(CodeHealthCheck, nil, "Invalid Health Check: the Health-Check header is missing.")
	}
	return value, nil
}
