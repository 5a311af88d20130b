package ctim

// Context tells what happened on the endpoint, event by event (CTIM sighting context). Lists that the
// relay never fills are left out.
type Context struct {
	ProcessCreate  []ProcessCreateEvent `json:"process_create_events,omitempty"`
	FileCreate     []FileEvent          `json:"file_create_events,omitempty"`
	FileDelete     []FileEvent          `json:"file_delete_events,omitempty"`
	FileModify     []FileEvent          `json:"file_modify_events,omitempty"`
	Netflow        []NetflowEvent       `json:"netflow_events,omitempty"`
	RegistryCreate []RegistryEvent      `json:"registry_create_events,omitempty"`
	RegistrySet    []RegistrySetEvent   `json:"registry_set_events,omitempty"`
	RegistryDelete []RegistryEvent      `json:"registry_delete_events,omitempty"`
}

// ContextType is the type of an event in a [Context]; it goes with the list that the event is in.
type ContextType string

// Types of context events.
const (
	ContextProcessCreate  ContextType = "ProcessCreateEvent"
	ContextFileCreate     ContextType = "FileCreateEvent"
	ContextFileDelete     ContextType = "FileDeleteEvent"
	ContextFileModify     ContextType = "FileModifyEvent"
	ContextNetflow        ContextType = "NetflowEvent"
	ContextRegistryCreate ContextType = "RegistryCreateEvent"
	ContextRegistrySet    ContextType = "RegistrySetEvent"
	ContextRegistryDelete ContextType = "RegistryDeleteEvent"
)

// ContextBase is what each context event carries; all but the user name is required.
type ContextBase struct {
	Type            ContextType  `json:"type"`
	Time            ObservedTime `json:"time"`
	ProcessID       int64        `json:"process_id"`
	ProcessName     string       `json:"process_name"`              // at most 1024 characters
	ProcessUsername string       `json:"process_username,omitzero"` // at most 1024 characters
}

// ProcessCreateEvent is a process that was started.
type ProcessCreateEvent struct {
	ContextBase
	ProcessArgs     string `json:"process_args,omitzero"` // at most 2048 characters
	ProcessHash     string `json:"process_hash,omitzero"`
	ParentProcessID int64  `json:"parent_process_id,omitzero"`
}

// FileEvent is a file that the process created, deleted or modified.
type FileEvent struct {
	ContextBase
	FileName string `json:"file_name"` // at most 1024 characters
	FilePath string `json:"file_path"` // at most 2048 characters
}

// NetflowEvent is a connection of the process.
type NetflowEvent struct {
	ContextBase
	Traffic Traffic `json:"traffic"`
}

// Traffic is the two ends of a connection; all but the host name is required.
type Traffic struct {
	Protocol            int    `json:"protocol"` // IANA protocol number
	SourceIP            string `json:"source_ip"`
	SourcePort          int    `json:"source_port"`
	DestinationIP       string `json:"destination_ip"`
	DestinationPort     int    `json:"destination_port"`
	Direction           string `json:"direction"`
	DestinationHostName string `json:"destination_host_name,omitzero"`
}

// RegistryEvent is a registry key that the process created or deleted.
type RegistryEvent struct {
	ContextBase
	RegistryKey string `json:"registry_key"` // at most 1024 characters
}

// RegistrySetEvent is a registry value that the process set.
type RegistrySetEvent struct {
	RegistryEvent
	RegistryValue string `json:"registry_value"`         // the value's name, at most 2048 characters
	RegistryData  string `json:"registry_data,omitzero"` // at most 5000 characters
}
