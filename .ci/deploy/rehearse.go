package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// Command is one gcloud command that a rehearsal ran, with every variable replaced.
type Command struct {
	Where string   // the place of the call
	Args  []string // beginning with "gcloud"
}

func (c Command) String() string { return c.Where + ": " + strings.Join(c.Args, " ") }

// Has says whether the command begins with these words after "gcloud".
func (c Command) Has(words ...string) bool {
	return len(c.Args) > len(words) && slices.Equal(c.Args[1:1+len(words)], words)
}

// Flag returns the value of --name=value; "" and true for a plain --name.
func (c Command) Flag(name string) (string, bool) {
	for _, arg := range c.Args {
		if arg == "--"+name {
			return "", true
		}
		if value, ok := strings.CutPrefix(arg, "--"+name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// Scenario is one way in which the build may run.
type Scenario struct {
	Name          string
	Substitutions map[string]string // over the defaults
	New           bool              // the services do not exist yet
	Fail          []string          // gcloud commands that begin with these words fail
	TagLost       bool              // another build moved the tag to its own revision
}

// Scenarios returns the successful ways, which together reach every gcloud command.
func Scenarios(functions []string) []Scenario {
	pairs := make([]string, len(functions))
	for i, name := range functions {
		pairs[i] = "relay-" + strings.ToLower(name) + ":" + name
	}
	return []Scenario{
		{Name: "an update"},
		{Name: "the first deployment", New: true},
		{Name: "a service for each function", Substitutions: map[string]string{"_FUNCTIONS": strings.Join(pairs, " ")}},
		{Name: "the key read through the API", Substitutions: map[string]string{"_KEY_FROM": "api"}},
		{Name: "no key of the relay's own", Substitutions: map[string]string{"_KEY_FROM": "none"}},
		{Name: "no further variables", Substitutions: map[string]string{"_ENV": ""}},
	}
}

// ErrStep is the failure of a step's script, which ends the build.
var ErrStep = errors.New("the step fails")

// Rehearse runs the scripts that call gcloud, one after another in one folder as Cloud Build does, with a stand-in for
// gcloud that records its arguments and answers as Cloud Run would. No other program is run. An error that is an [ErrStep]
// means that the build would have ended there.
func (b *Build) Rehearse(ctx context.Context, s Scenario) ([]Command, error) {
	dir, err := os.MkdirTemp("", "rehearsal")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	run := stage{dir: dir, answer: (&cloudRun{scenario: s, revisions: map[string]string{}}).answer}
	err = b.play(ctx, &run, s)
	commands, _ := run.result()
	return commands, err
}

func (b *Build) play(ctx context.Context, run *stage, s Scenario) error {
	for i, step := range b.Steps {
		file, err := parseScript(stepName(i, step), step.Script)
		if err != nil {
			return err
		}
		if len(gcloudCalls(file)) == 0 {
			continue
		}
		var env []string
		for _, e := range step.Env {
			e, err := b.expand(e, s.Substitutions)
			if err != nil {
				return err
			}
			env = append(env, e)
		}
		if err := run.play(ctx, file, env); err != nil {
			return fmt.Errorf("%s: %w", stepName(i, step), err)
		}
	}
	return nil
}

// gcloudCalls returns the places of all calls in the build's scripts.
func (b *Build) gcloudCalls() []string {
	var places []string
	for i, step := range b.Steps {
		if file, err := parseScript(stepName(i, step), step.Script); err == nil {
			for _, call := range gcloudCalls(file) {
				places = append(places, place(file.Name, call.Pos()))
			}
		}
	}
	return places
}

// RehearseDoc runs all shell blocks of a Markdown text as one session, with stand-ins for every program, and returns the
// gcloud commands. Mistakes are blocks that the shell cannot read, and variables in gcloud commands that no block sets.
func RehearseDoc(ctx context.Context, name, text string) ([]Command, []error) {
	file, err := parseScript(name, shellBlocks(text))
	if err != nil {
		return nil, []error{err}
	}
	dir, err := os.MkdirTemp("", "rehearsal")
	if err != nil {
		return nil, []error{err}
	}
	defer func() { _ = os.RemoveAll(dir) }()
	run := stage{dir: dir, answer: func([]string) (string, bool) { return "rehearsed\n", true }, needs: map[string][]string{}}
	calls := gcloudCalls(file)
	for _, call := range calls {
		run.needs[place(name, call.Pos())] = variables(call)
	}
	err = run.play(ctx, file, nil)
	commands, problems := run.result()
	if err != nil && !errors.Is(err, ErrStep) { // whether the last command succeeds means nothing here
		problems = append(problems, fmt.Errorf("%s: %w", name, err))
	}
	for _, call := range calls {
		where := place(name, call.Pos())
		if !slices.ContainsFunc(commands, func(c Command) bool { return c.Where == where }) {
			problems = append(problems, fmt.Errorf("%s: the rehearsal does not reach this gcloud command", where))
		}
	}
	return commands, problems
}

// stage runs scripts with stand-ins for all programs.
type stage struct {
	dir    string
	answer func(args []string) (stdout string, ok bool) // what gcloud says
	needs  map[string][]string                          // place of a gcloud call -> variables that must be set there

	mu       sync.Mutex // the programs of a pipe run at once, and a process substitution may outlive its script
	commands []Command
	problems []error
}

func (s *stage) result() ([]Command, []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.commands), slices.Clone(s.problems)
}

func (s *stage) play(ctx context.Context, file *syntax.File, env []string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // ends a loop that waits for a real answer
	defer cancel()
	var stderr bytes.Buffer
	runner, err := interp.New(
		interp.Dir(s.dir),
		interp.Env(expand.ListEnviron(append([]string{"PATH=/nowhere", "HOME=" + s.dir}, env...)...)),
		interp.StdIO(nil, io.Discard, &stderr),
		interp.CallHandler(func(_ context.Context, args []string) ([]string, error) {
			if args[0] == "cd" {
				return []string{"true"}, nil // folders of the reader's machine are not here
			}
			return args, nil
		}),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return s.exec(file.Name) }),
		interp.OpenHandler(s.open),
	)
	if err != nil {
		return err
	}
	err = runner.Run(ctx, file)
	if status := interp.ExitStatus(0); errors.As(err, &status) {
		return fmt.Errorf("%w: %w: %s", ErrStep, err, strings.TrimSpace(stderr.String()))
	}
	return err
}

func (s *stage) exec(name string) interp.ExecHandlerFunc {
	return func(ctx context.Context, args []string) error {
		shell := interp.HandlerCtx(ctx)
		if args[0] != "gcloud" {
			_, _ = io.WriteString(shell.Stdout, "rehearsed\n") // fails where the next program of a pipe does not read
			return nil
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		where := place(name, shell.Pos)
		for _, variable := range s.needs[where] {
			if !shell.Env.Get(variable).IsSet() {
				s.problems = append(s.problems, fmt.Errorf("%s: no block before this sets $%s", where, variable))
			}
		}
		s.commands = append(s.commands, Command{Where: where, Args: slices.Clone(args)})
		stdout, ok := s.answer(args)
		if !ok {
			return interp.ExitStatus(1)
		}
		_, _ = io.WriteString(shell.Stdout, stdout)
		return nil
	}
}

// open lets a script write below its own folder only.
func (s *stage) open(ctx context.Context, path string, flag int, perm os.FileMode) (io.ReadWriteCloser, error) {
	target := path
	if !filepath.IsAbs(target) {
		target = filepath.Join(s.dir, target)
	}
	inside := strings.HasPrefix(filepath.Clean(target), s.dir+string(filepath.Separator))
	if path != os.DevNull && !inside && flag&(os.O_WRONLY|os.O_RDWR|os.O_CREATE) != 0 {
		return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrPermission}
	}
	return interp.DefaultOpenHandler()(ctx, path, flag, perm)
}

// cloudRun answers gcloud commands as Cloud Run with these services would.
type cloudRun struct {
	scenario  Scenario
	revisions map[string]string // service -> newest revision
}

func (c *cloudRun) answer(args []string) (string, bool) {
	cmd := Command{Args: args}
	if len(c.scenario.Fail) > 0 && cmd.Has(c.scenario.Fail...) {
		return "", false
	}
	switch {
	case cmd.Has("run", "services", "list"):
		filter, _ := cmd.Flag("filter")
		if c.scenario.New {
			return "", true
		}
		return strings.TrimPrefix(filter, "metadata.name=") + "\n", true
	case cmd.Has("run", "deploy"):
		_, held := cmd.Flag("no-traffic")
		if c.scenario.New == held {
			return "", false // gcloud refuses --no-traffic for a new service; an old one would lose its traffic without it
		}
		suffix, _ := cmd.Flag("revision-suffix")
		c.revisions[args[3]] = args[3] + "-" + suffix
		return "", true
	case cmd.Has("run", "services", "describe"):
		if _, flat := cmd.Flag("flatten"); !flat {
			return "https://" + args[4] + "-abc-uc.a.run.app\n", true
		}
		revision := c.revisions[args[4]]
		if c.scenario.TagLost {
			revision = args[4] + "-bother"
		}
		return args[4] + "-old,,\n" + revision + ",candidate,https://candidate---" + args[4] + "-abc-uc.a.run.app\n", true
	case cmd.Has("run", "services", "update-traffic"):
		to, _ := cmd.Flag("to-revisions")
		return "", slices.Contains(slices.Collect(maps.Values(c.revisions)), strings.TrimSuffix(to, "=100"))
	default:
		return "", false
	}
}
