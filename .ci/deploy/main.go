// Command deploy checks everything about the deployment that can be checked without Google Cloud: cloudbuild.yaml as a Build,
// the scripts in it and the shell blocks of the documentation by rehearsing them with a stand-in for gcloud, the functions
// they name against those that are registered, and each gcloud command with the parser of the installed gcloud.
//
// It is a module of its own, so that the packages that it needs stay out of the service.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the whole program; it returns the exit status: 0 nothing found, 1 mistakes found, 2 wrong use.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("deploy", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dir := flags.String("dir", "../..", "the repository's `folder`")
	functions := flags.String("functions", "", "`names` under which functions are registered, comma separated")
	flags.Usage = func() {
		_, _ = fmt.Fprintln(stderr, "usage: deploy [-dir folder] -functions names [file.md ...]\n\nWithout files it reads README.md and docs/*.md of the folder.")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *functions == "" {
		flags.Usage()
		return 2
	}

	commands, problems := Project{Dir: *dir, Docs: flags.Args(), Functions: strings.Split(*functions, ",")}.Check(ctx)
	gcloud, err := FindGcloud()
	if err != nil {
		_, _ = fmt.Fprintf(stdout, "%d gcloud commands rehearsed, not linted: %v\n", len(commands), err)
	} else {
		found, err := gcloud.Lint(ctx, commands)
		if err != nil {
			found = append(found, err)
		}
		problems = append(problems, found...)
		_, _ = fmt.Fprintf(stdout, "%d gcloud commands rehearsed and linted\n", len(commands))
	}
	for _, p := range problems {
		_, _ = fmt.Fprintln(stderr, p)
	}
	if len(problems) > 0 {
		return 1
	}
	return 0
}

// Project is the set of files that must agree with each other.
type Project struct {
	Dir       string   // the repository
	Docs      []string // Markdown files; empty: README.md and docs/*.md of Dir
	Functions []string // the names under which functions are registered
}

// Check reads every file and returns the gcloud commands that they would run, with variables replaced, and all mistakes.
func (p Project) Check(ctx context.Context) ([]Command, []error) {
	commands, problems := p.checkBuild(ctx, filepath.Join(p.Dir, "cloudbuild.yaml"))
	if len(p.Docs) == 0 {
		p.Docs, _ = filepath.Glob(filepath.Join(p.Dir, "docs", "*.md")) // the pattern is constant and well formed
		p.Docs = append(p.Docs, filepath.Join(p.Dir, "README.md"))
	}
	for _, doc := range p.Docs {
		text, err := os.ReadFile(doc)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		name := filepath.Base(doc)
		inDoc, found := RehearseDoc(ctx, name, string(text))
		commands = append(commands, inDoc...)
		problems = append(problems, found...)
		problems = append(problems, CheckTargets(name, string(text), p.Functions)...)
	}
	return commands, problems
}

func (p Project) checkBuild(ctx context.Context, path string) ([]Command, []error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, []error{err}
	}
	build, err := ParseBuild(text)
	if err != nil {
		return nil, []error{err}
	}
	problems := build.Check(p.Functions)
	problems = append(problems, CheckTargets("cloudbuild.yaml", string(text), p.Functions)...)
	if len(problems) > 0 {
		return nil, problems // a rehearsal of a build with mistakes would only repeat them less clearly
	}
	var commands []Command
	for _, s := range Scenarios(p.Functions) {
		record, err := build.Rehearse(ctx, s)
		if err != nil {
			problems = append(problems, fmt.Errorf("cloudbuild.yaml, %s: %w", s.Name, err))
		}
		commands = append(commands, record...)
	}
	for _, call := range build.gcloudCalls() {
		if !slices.ContainsFunc(commands, func(c Command) bool { return c.Where == call }) {
			problems = append(problems, fmt.Errorf("%s: no rehearsal reaches this gcloud command", call))
		}
	}
	return commands, problems
}
