package relay

import "runtime/debug"

// Version is the relay's own.
const Version = "1.0.0"

// Build tells which program this is: the relay's version, the commit that it was built from ("unknown"
// where the sources came without git), and the version of Go.
func Build() (version, commit, goVersion string) {
	commit, goVersion = "unknown", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		goVersion = info.GoVersion
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				commit = setting.Value
			}
		}
	}
	return Version, commit, goVersion
}

// version tells the relay's version. It needs no token, so that a deployment can be checked from outside.
func (s *Service) version(*request) (any, error) {
	return bareJSON{map[string]string{"version": Version}}, nil
}
