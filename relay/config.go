package relay

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"qualysrelay.example/relay/auth"
)

// Config is everything that an operator sets. ConfigFromEnv fills it from the environment; the README has the table of names.
type Config struct {
	Auth auth.Config // keys, trusted hosts, and what a token may override

	APIPath        string        // API_PATH: of the events API at the gateway
	RequestTimeout time.Duration // REQUEST_TIMEOUT: the answer is written by then, with what was found
	Concurrency    int           // QUALYS_CONCURRENCY: calls in flight for each tenant
	SearchCache    time.Duration // SEARCH_CACHE: how long an answer of Qualys is given again; 0 never
	LogLevel       slog.Level    // LOG_LEVEL
	ProjectID      string        // GOOGLE_CLOUD_PROJECT: names the traces in log lines
	Telemetry      bool          // OTEL_EXPORTER_OTLP_ENDPOINT is set
}

const (
	defaultLimit       = 100
	maxLimit           = 1000
	defaultTimeout     = 25 * time.Second // XDR's own limit is not published; other relays budget 25 to 50 s
	maxTimeout         = 10 * time.Minute
	defaultConcurrency = 4
	maxConcurrency     = 64
	defaultCache       = 30 * time.Second
	maxCache           = 5 * time.Minute
)

// ConfigFromEnv reads the configuration and names every mistake in it at once. Values that are secret are never part of the error.
func ConfigFromEnv(getenv func(string) string) (Config, error) {
	e := environment{get: getenv}
	c := Config{
		Auth: auth.Config{
			SecretKey:        strings.TrimSpace(getenv("SECRET_KEY")),
			SecretKeyFile:    e.text("SECRET_KEY_FILE", ""),
			SecretKeySecrets: e.list("SECRET_KEY_SECRET"),
			JWKSHosts:        e.list("JWKS_HOSTS"),
			Audiences:        e.list("JWT_AUDIENCE"),
			APIHosts:         e.list("API_HOSTS"),
			APIURL:           e.text("API_URL", ""),
			PlatformURL:      e.text("PLATFORM_URL", ""),
			Limit:            e.number("CTR_ENTITIES_LIMIT", defaultLimit, 1, maxLimit),
		},
		APIPath:        e.text("API_PATH", "/ioc"),
		RequestTimeout: e.duration("REQUEST_TIMEOUT", defaultTimeout, time.Second, maxTimeout),
		Concurrency:    e.number("QUALYS_CONCURRENCY", defaultConcurrency, 1, maxConcurrency),
		SearchCache:    e.duration("SEARCH_CACHE", defaultCache, 0, maxCache),
		LogLevel:       e.level("LOG_LEVEL"),
		ProjectID:      e.text("GOOGLE_CLOUD_PROJECT", ""),
		Telemetry:      e.text("OTEL_EXPORTER_OTLP_ENDPOINT", "") != "",
	}
	if !strings.HasPrefix(c.APIPath, "/") || strings.HasSuffix(c.APIPath, "/") || strings.ContainsAny(c.APIPath, "?#%\\ ") {
		e.wrong("API_PATH", "must be a path like /ioc or /ioc/v1")
	}
	if err := errors.Join(append(e.mistakes, c.Auth.Validate())...); err != nil {
		return Config{}, fmt.Errorf("configuration:\n%w", err)
	}
	return c, nil
}

// environment reads variables and collects what is wrong with them.
type environment struct {
	get      func(string) string
	mistakes []error
}

func (e *environment) wrong(name, problem string) {
	e.mistakes = append(e.mistakes, fmt.Errorf("%s: %s", name, problem))
}

func (e *environment) text(name, otherwise string) string {
	if value := strings.TrimSpace(e.get(name)); value != "" {
		return value
	}
	return otherwise
}

func (e *environment) list(name string) []string {
	var values []string
	for value := range strings.SplitSeq(e.get(name), ",") {
		if value = strings.TrimSpace(value); value != "" {
			values = append(values, value)
		}
	}
	return values
}

func (e *environment) number(name string, otherwise, least, most int) int {
	text := e.text(name, "")
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		e.wrong(name, fmt.Sprintf("must be a whole number from %d to %d", least, most))
		return otherwise
	}
	return n
}

func (e *environment) duration(name string, otherwise, least, most time.Duration) time.Duration {
	text := e.text(name, "")
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < least || d > most {
		e.wrong(name, fmt.Sprintf("must be a duration from %s to %s, such as %s", least, most, otherwise))
		return otherwise
	}
	return d
}

func (e *environment) level(name string) slog.Level {
	var level slog.Level
	if text := e.text(name, ""); text != "" && level.UnmarshalText([]byte(text)) != nil {
		e.wrong(name, "must be debug, info, warn or error")
	}
	return level
}
