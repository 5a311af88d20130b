package mapping_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qualysrelay.example/ctim"
	"qualysrelay.example/qualys"
)

// contextLists names the lists that the events of a context are in, and their types.
func contextLists(c *ctim.Context) string {
	if c == nil {
		return ""
	}
	var out []string
	note := func(list string, events []ctim.ContextEvent) {
		for _, e := range events {
			out = append(out, list+" "+e.Type)
		}
	}
	note("process_create", c.ProcessCreate)
	note("file_create", c.FileCreate)
	note("file_delete", c.FileDelete)
	note("file_modify", c.FileModify)
	note("netflow", c.Netflow)
	note("registry_create", c.RegistryCreate)
	note("registry_set", c.RegistrySet)
	note("registry_delete", c.RegistryDelete)
	return strings.Join(out, ", ")
}

func TestContext(t *testing.T) {
	action := func(a string) func(*qualys.Event) { return func(e *qualys.Event) { e.Action = a } }
	network := func(change func(*qualys.Network)) func(*qualys.Event) {
		return func(e *qualys.Event) { change(e.Network) }
	}
	for _, tt := range []struct {
		name   string
		event  *qualys.Event
		change func(*qualys.Event)
		want   string // "" is no context
	}{
		{"a file created", fileEvent(), action("Created"), "file_create FileCreateEvent"},
		{"a file deleted", fileEvent(), action("DELETED"), "file_delete FileDeleteEvent"},
		{"a file modified", fileEvent(), action("MODIFIED"), "file_modify FileModifyEvent"},
		{"a file renamed lacks CTIM's two names", fileEvent(), action("RENAMED"), ""},
		{"a file of which nothing is told", fileEvent(), action(""), ""},
		{"a file without a path", fileEvent(), func(e *qualys.Event) { e.File.FullPath = "" }, ""},
		{"a file without a name", fileEvent(), func(e *qualys.Event) { e.File.Name = "" }, ""},
		{"a file event without a file", fileEvent(), func(e *qualys.Event) { e.File = nil }, ""},
		{"a file without an actor", fileEvent(), func(e *qualys.Event) { e.Actor = nil }, ""},
		{"a file whose actor has no id", fileEvent(), func(e *qualys.Event) { e.Actor.ProcessID = 0 }, ""},
		{"a file with a process for an actor", fileEvent(), func(e *qualys.Event) {
			e.Actor,
				e.Process = nil, processEvent().Process
		}, "file_create FileCreateEvent"},

		{"a process running", processEvent(), action("running"), "process_create ProcessCreateEvent"},
		{"a process with no action told", processEvent(), action(""), "process_create ProcessCreateEvent"},
		{"a process that ended was not created", processEvent(), action("TERMINATED"), ""},
		{"a process without an id", processEvent(), func(e *qualys.Event) { e.Process.PID = 0 }, ""},
		{"a process without a name", processEvent(), func(e *qualys.Event) { e.Process.Name = "" }, ""},
		{"a process event without a process", processEvent(), func(e *qualys.Event) { e.Process = nil }, ""},

		{"a connection", networkEvent(), nil, "netflow NetflowEvent"},
		{"a connection by protocol number", networkEvent(),
			network(func(n *qualys.Network) { n.Protocol = "17" }), "netflow NetflowEvent"},
		{"a connection over UDP", networkEvent(), network(func(n *qualys.Network) { n.Protocol = "udp" }),
			"netflow NetflowEvent"},
		{"a connection without a local address", networkEvent(),
			network(func(n *qualys.Network) { n.LocalIP = "" }), ""},
		{"a connection without a remote address", networkEvent(),
			network(func(n *qualys.Network) { n.RemoteIP = "?" }), ""},
		{"a connection without a local port", networkEvent(),
			network(func(n *qualys.Network) { n.LocalPort = 0 }), ""},
		{"a connection to a port that is none", networkEvent(),
			network(func(n *qualys.Network) { n.RemotePort = 65536 }), ""},
		{"a connection by an unknown protocol", networkEvent(),
			network(func(n *qualys.Network) { n.Protocol = "" }), ""},
		{"a connection in an unknown direction", networkEvent(),
			network(func(n *qualys.Network) { n.Direction = "sideways" }), ""},
		{"a connection without a process", networkEvent(), func(e *qualys.Event) { e.Process = nil }, ""},
		{"a network event without a network", networkEvent(), func(e *qualys.Event) { e.Network = nil }, ""},

		{"a registry value set", registryEvent(), nil, "registry_set RegistrySetEvent"},
		{"a registry key created", registryEvent(), action("CREATED"),
			"registry_create RegistryCreateEvent"},
		{"a registry key deleted", registryEvent(), action("DELETED"),
			"registry_delete RegistryDeleteEvent"},
		{"a registry value set without a name", registryEvent(),
			func(e *qualys.Event) { e.Registry.ValueName = "" }, ""},
		{"a registry key without a name", registryEvent(), func(e *qualys.Event) { e.Registry.Key = "" },
			""},
		{"a registry event of which nothing is told", registryEvent(), action("QUERIED"), ""},
		{"a registry event without a process", registryEvent(), func(e *qualys.Event) { e.Process = nil },
			""},

		{"a mutex has no context in CTIM", mutexEvent(), nil, ""},
		{"nor has a type not known yet", fileEvent(), func(e *qualys.Event) { e.Type = "UserControl" }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.change != nil {
				tt.change(tt.event)
			}
			assert.Equal(t, tt.want, contextLists(requireSound(t, observable(ctim.ObservableSHA256, sha),
				page, tt.event).Sighting.Context))
		})
	}
}

func TestTrafficIsSeenFromItsSource(t *testing.T) {
	traffic := func(direction string) *ctim.Traffic {
		e := with(networkEvent(), func(e *qualys.Event) { e.Network.Direction = direction })
		c := requireSound(t, observable(ctim.ObservableIP, remoteIP), page, e).Sighting.Context
		require.NotNil(t, c)
		return c.Netflow[0].Traffic
	}
	assert.Equal(t, &ctim.Traffic{
		Protocol: 6, SourceIP: "192.0.2.29", SourcePort: 50123, DestinationIP: remoteIP,
		DestinationPort: 443, Direction: "outgoing", DestinationHostName: remoteDNS,
	}, traffic("Outgoing"))
	assert.Equal(t, &ctim.Traffic{
		Protocol: 6, SourceIP: remoteIP, SourcePort: 443, DestinationIP: "192.0.2.29",
		DestinationPort: 50123, Direction: "incoming",
	}, traffic("INBOUND"), "the remote name is not the destination's")
}
