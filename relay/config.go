package relay

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"qualysrelay.example/qualys"
	"qualysrelay.example/relay/auth"
)

// Config is everything that an operator sets. [ConfigFromEnv] fills it from the environment; the README
// has the table of names.
type Config struct {
	Auth auth.Config // keys, the hosts that publish them, audiences

	APIURL      string   // API_URL: gateway for tokens that name none; no trailing slash. May be empty
	APIHosts    []string // API_HOSTS: hosts, with the port where it is not 443, that a token's API_URL may have
	PlatformURL string   // PLATFORM_URL: console that goes with APIURL; no trailing slash. May be empty
	Limit       int      // CTR_ENTITIES_LIMIT: entities of a kind for one observable, if the token names none

	APIPath        string        // API_PATH: of the events API at the gateway
	RequestTimeout time.Duration // REQUEST_TIMEOUT: the answer is written by then, with what was found
	Concurrency    int           // QUALYS_CONCURRENCY: calls in flight for each tenant
	SearchCache    time.Duration // SEARCH_CACHE: how long an answer of Qualys is reused; 0 disables the cache
	MemoryLimit    int64         // GOMEMLIMIT in bytes; math.MaxInt64 where it is off
	LogLevel       slog.Level    // LOG_LEVEL
	ProjectID      string        // GOOGLE_CLOUD_PROJECT: names the traces in log lines
	Telemetry      bool          // OTEL_EXPORTER_OTLP_ENDPOINT is set, and OTEL_SDK_DISABLED is not true

	// Now is the clock of the dashboard's periods; nil: time.Now. No variable sets it.
	Now func() time.Time `json:"-"`
}

const (
	maxLimit       = 1000
	defaultTimeout = 25 * time.Second // XDR's own limit is not published; other relays budget 25 to 50 s
	defaultMemory  = 400 << 20        // leaves the rest of Cloud Run's 512 MiB to the runtime and the kernel
	minMemory      = 64 << 20         // with less, not even one large answer of Qualys could be read
)

// ConfigFromEnv reads the configuration and names every mistake in it at once. Values that are secret, or
// may hold a secret, are never part of the error.
func ConfigFromEnv(getenv func(string) string) (Config, error) {
	e := &environment{get: getenv}
	c := Config{
		Auth: auth.Config{
			SecretKey:        getenv("SECRET_KEY"),
			SecretKeyFile:    e.text("SECRET_KEY_FILE"),
			SecretKeySecrets: e.list("SECRET_KEY_SECRET"),
			JWKSHosts:        e.list("JWKS_HOSTS"),
			Audiences:        e.list("JWT_AUDIENCE"),
		},
		PlatformURL: read(e, "PLATFORM_URL", "", parseConsole),
		Limit:       read(e, "CTR_ENTITIES_LIMIT", 100, between(1, maxLimit, wholeNumber, strconv.Atoi)),
		APIPath:     read(e, "API_PATH", "/ioc", apiPath),
		RequestTimeout: read(e, "REQUEST_TIMEOUT", defaultTimeout,
			between(time.Second, 10*time.Minute, duration, time.ParseDuration)),
		Concurrency: read(e, "QUALYS_CONCURRENCY", 4, between(1, 64, wholeNumber, strconv.Atoi)),
		SearchCache: read(e, "SEARCH_CACHE", 30*time.Second,
			between(0, 5*time.Minute, duration, time.ParseDuration)),
		MemoryLimit: e.memoryLimit(),
		LogLevel:    read(e, "LOG_LEVEL", slog.LevelInfo, level),
		ProjectID:   e.text("GOOGLE_CLOUD_PROJECT"),
		Telemetry: e.text("OTEL_EXPORTER_OTLP_ENDPOINT") != "" &&
			!strings.EqualFold(e.text("OTEL_SDK_DISABLED"), "true"),
	}
	e.gateways(&c)
	_, err := auth.New(c.Auth) // for its mistakes
	if err := errors.Join(append(e.mistakes, err)...); err != nil {
		return Config{}, fmt.Errorf("configuration:\n%w", err)
	}
	return c, nil
}

// LogValue is the configuration without secrets, as the line about the start has it.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(append(c.Auth.LogValue().Group(), slog.Group("",
		"api_url", c.APIURL, "api_hosts", strings.Join(c.APIHosts, ","), "api_path", c.APIPath,
		"platform_url", c.PlatformURL, "entities_limit", c.Limit, "request_timeout", c.RequestTimeout.String(),
		"qualys_concurrency", c.Concurrency, "search_cache", c.SearchCache.String(), "memory_limit", c.MemoryLimit,
		"log_level", c.LogLevel.String(), "telemetry", c.Telemetry,
	))...)
}

// environment reads variables and collects what is wrong with them.
type environment struct {
	get      func(string) string
	mistakes []error
}

func (e *environment) wrong(name string, err error) {
	e.mistakes = append(e.mistakes, fmt.Errorf("%s: %w", name, err))
}

func (e *environment) text(name string) string { return strings.TrimSpace(e.get(name)) }

func (e *environment) list(name string) []string {
	var values []string
	for value := range strings.SplitSeq(e.get(name), ",") {
		if value = strings.TrimSpace(value); value != "" {
			values = append(values, value)
		}
	}
	return values
}

// read returns a variable's value, or another one where the variable is not set or wrong.
func read[T any](e *environment, name string, otherwise T, parse func(string) (T, error)) T {
	text := e.text(name)
	if text == "" {
		return otherwise
	}
	value, err := parse(text)
	if err != nil {
		e.wrong(name, err)
		return otherwise
	}
	return value
}

// gateways reads API_URL and API_HOSTS. The host of API_URL may be named by tokens, too, unless it is
// loopback: that is for trying the relay out, and no token may reach into the machine.
func (e *environment) gateways(c *Config) {
	c.APIHosts = e.list("API_HOSTS")
	for _, host := range c.APIHosts {
		base, err := parseGateway("https://"+host, false)
		switch {
		case err != nil:
			e.wrong("API_HOSTS", fmt.Errorf("in an entry, %w", err))
		case base.Host != host:
			e.wrong("API_HOSTS", fmt.Errorf("%q must be written %q", host, base.Host))
		}
	}
	if len(c.APIHosts) == 0 {
		for _, p := range qualys.Platforms() {
			c.APIHosts = append(c.APIHosts, strings.TrimPrefix(p.Gateway, "https://"))
		}
	}
	c.APIURL = read(e, "API_URL", "", func(text string) (string, error) {
		base, err := parseGateway(text, true)
		if err != nil {
			return "", err
		}
		if !isLoopback(base.Hostname()) && !slices.Contains(c.APIHosts, base.Host) {
			c.APIHosts = append(c.APIHosts, base.Host)
		}
		return base.String(), nil
	})
}

// What values must be that [between] checks, by fmt's verbs for the bounds.
const (
	wholeNumber = "must be a whole number from %d to %d"
	duration    = "must be a duration from %s to %s, such as 20s"
)

// between returns parse with bounds, both included.
func between[T cmp.Ordered](
	least, most T, must string, parse func(string) (T, error),
) func(string) (T, error) {
	return func(text string) (T, error) {
		value, err := parse(text)
		if err != nil || value < least || value > most {
			return value, fmt.Errorf(must, least, most)
		}
		return value, nil
	}
}

func apiPath(text string) (string, error) {
	if !strings.HasPrefix(text, "/") || strings.HasSuffix(text, "/") || strings.ContainsAny(text, "?#%\\ ") {
		return "", errors.New("must be a path like /ioc or /ioc/v1")
	}
	return text, nil
}

// memoryLimit is the limit of the Go runtime, which has read GOMEMLIMIT before the program began, and ends it
// where the value is not valid.
func (e *environment) memoryLimit() int64 {
	if e.text("GOMEMLIMIT") == "" {
		return defaultMemory
	}
	limit := debug.SetMemoryLimit(-1)
	if limit < minMemory {
		e.wrong("GOMEMLIMIT", fmt.Errorf("must be %dMiB at least", minMemory>>20))
	}
	return limit
}

func level(text string) (level slog.Level, err error) {
	if level.UnmarshalText([]byte(text)) != nil {
		err = errors.New("must be debug, info, warn or error")
	}
	return level, err
}
