package qualystest

// After does something when the channel is closed (or sends).
func After(until <-chan struct{}, do Behaviour) Behaviour {
	return Behaviour{do.name + ", held", func(x *exchange) {
		select {
		case <-until:
			do.run(x)
		case <-x.r.Context().Done():
			x.abort()
		case <-x.s.closing:
			x.abort()
		}
	}}
}
