package ctim

// Context tells what happened on the endpoint, event by event (CTIM sighting context). Lists that the
// relay never fills are left out.
type Context struct {
	ProcessCreate  []ContextEvent `json:"process_create_events,omitempty"`
	FileCreate     []ContextEvent `json:"file_create_events,omitempty"`
	FileDelete     []ContextEvent `json:"file_delete_events,omitempty"`
	FileModify     []ContextEvent `json:"file_modify_events,omitempty"`
	Netflow        []ContextEvent `json:"netflow_events,omitempty"`
	RegistryCreate []ContextEvent `json:"registry_create_events,omitempty"`
	RegistrySet    []ContextEvent `json:"registry_set_events,omitempty"`
	RegistryDelete []ContextEvent `json:"registry_delete_events,omitempty"`
}

// ContextEvent is an event in a [Context]. The type goes with the list that the event is in; each event
// has what the process did it with, and the fields of its type.
type ContextEvent struct {
	Type            string       `json:"type"` // as "FileCreateEvent"
	Time            ObservedTime `json:"time"`
	ProcessID       int64        `json:"process_id"`
	ProcessName     string       `json:"process_name"`              // at most 1024 characters
	ProcessUsername string       `json:"process_username,omitzero"` // optional, at most 1024 characters

	// A process that was started. All three are optional.
	ProcessArgs     string `json:"process_args,omitzero"` // at most 2048 characters
	ProcessHash     string `json:"process_hash,omitzero"`
	ParentProcessID int64  `json:"parent_process_id,omitzero"`

	// A file that the process created, deleted or modified.
	FileName string `json:"file_name,omitzero"` // at most 1024 characters
	FilePath string `json:"file_path,omitzero"` // at most 2048 characters

	// A connection of the process.
	Traffic *Traffic `json:"traffic,omitzero"`

	// A registry key that the process created or deleted, or a value of it that the process set.
	RegistryKey   string `json:"registry_key,omitzero"`   // at most 1024 characters
	RegistryValue string `json:"registry_value,omitzero"` // the value's name, at most 2048 characters
	RegistryData  string `json:"registry_data,omitzero"`  // optional, at most 5000 characters
}

// Traffic is the two ends of a connection; all but the host name is required.
type Traffic struct {
	Protocol            int    `json:"protocol"` // IANA protocol number
	SourceIP            string `json:"source_ip"`
	SourcePort          int    `json:"source_port"`
	DestinationIP       string `json:"destination_ip"`
	DestinationPort     int    `json:"destination_port"`
	Direction           string `json:"direction"` // "incoming" or "outgoing"
	DestinationHostName string `json:"destination_host_name,omitzero"`
}
