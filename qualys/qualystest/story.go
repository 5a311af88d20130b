package qualystest

import "time"

// Observable is something that an investigation asks about.
type Observable struct {
	Type  string // as CTIM names it: "ip", "domain", "file_name", "file_path", "mutex", "md5", "sha256", …
	Value string
	Label string // what it is in the story
}

// The endpoints of the story.
func workstation() Host {
	return Host{
		Name: "WS-FINANCE-07", AgentID: "3f6c1f0e-8a52-4d1b-9c77-51d0a4b7e907", User: `.\mira`,
		IPs:  []string{"192.0.2.17", "fe80::5a1d:3c2b:9e10:7707"},
		MACs: []string{"00:00:5e:00:53:17", "00:00:5e:00:53:17"},
	}
}

func fileServer() Host {
	return Host{
		Name: "SRV-FILES-01", AgentID: "a94b2c61-07d3-4e0a-b1f6-2e8c5d90f101", User: `.\svc-backup`,
		OS:  "Microsoft Windows Server 2022 Standard 10.0.20348 64-bit N/A Build 20348",
		IPs: []string{"192.0.2.5", "2001:db8:7::5"}, MACs: []string{"00:00:5e:00:53:05"},
	}
}

func laptop() Host {
	return Host{
		Name: "LT-DESIGN-02", AgentID: "c17e9b3d-4f68-4b25-8a0d-96d2f3a1b802", User: "jonas", Platform: "LINUX",
		OS:  "Ubuntu 24.04 LTS",
		IPs: []string{"192.0.2.42"},
	}
}

// The files of the story. Their hashes are made up.
const (
	lureSHA256    = "6a1c0f3bd1b84d5e9c27a0e4b3f65d718e2f90a4c6d7b1358f0e2a9d4c7b6e51"
	lureMD5       = "9f1e4c7b20d85a36e1f7094b3c6d2a58"
	loaderSHA256  = "d41f7ab5902c6e38f4b17d0a5e93c8262b7f10e9d6c5a4831e0f9b27c8d3a645"
	loaderMD5     = "3b7de0a9145f8c62d17a4e90fb2c6583"
	minerSHA256   = "1e9b4d7c60a3f58273d1c0e8f9a64b5d0c2e7f18a9b3d6540f1e8c7a2b9d5c36"
	minerMD5      = "c5a80f3e7d1942b6a0e7f5d39c814b26"
	toolSHA256    = "82f0d6c3a9b7e154d03f8a2c6b9e71d05f4c8a3e2d7b16908c5e0f4a3b2d1c97"
	toolMD5       = "71d0c4a8e3b95f260d8f1a7c6e2b9340"
	browserSHA256 = "b03e7f5a1c9d4286e5f0a7d3c8b1964f2d7e0c5a8b3f6192d4e7a0c9b8f5d312"
	browserMD5    = "0d4f8a6b2c7e91f35a0b8d6c4e2f7190"
	agentSHA256   = "f7c2a0e9d8b4615370e1f5c9a8d2b6430b9e7d1c5f8a4263e0d7c1b9f6a38524"
	agentMD5      = "e6b1d9075c3fa8421f7e0d6b9c8a5342"
	scriptSHA256  = "4c8e2f7a0b9d63518d2e6f1c7a0b5943e7f2d8c1b6a9054fd3e8c7b2a1f09645"
	scriptMD5     = "a2f7c01e9b8d4635f0c7e1a9d2b86453"
	editorSHA256  = "29d7b0f4c1e8a6539f0d2b7e8c4a1653d0f9e2b7c6a581430e7f1d9b8c2a6f50"
	editorMD5     = "5e0c9b7a3f1d82460a9e7c5b1d3f8642"
)

// Story returns the events of a March week of 2026. Mira in finance opens an invoice that is a loader of
// the made-up family Glasswing: it drops its second stage, marks the machine with a mutex, settles in the
// registry, fetches a miner from a domain and reports to an address. Qualys finds the parts one after
// another and removes some; the loader reaches the file server over a share before. Beside it three
// endpoints do what they do every day. Every type, every verdict, both datasets, the links between them,
// and neighbours that a prefix match finds by mistake (198.51.100.2 and 198.51.100.23, update.exe and
// update.exe.config) are in it.
func Story() []Event {
	ws, files, lt := workstation(), fileServer(), laptop()
	const (
		temp    = `C:\Users\mira\AppData\Local\Temp\glw\`
		lure    = `C:\Users\mira\Downloads\Invoice-2026-0317.exe`
		loader  = temp + `update.exe`
		miner   = temp + `cache\winsvchelper.exe`
		browser = `C:\Program Files\Harbor\Browser\harbor.exe`
		agent   = `C:\Program Files\Qualys\QualysAgent\QualysAgent.exe`
	)
	var story []Event
	both := func(e Event) { story = append(story, e.Both()...) } // still true, and so in both datasets
	past := func(e Event) { story = append(story, e) }
	now := func(e Event) { story = append(story, e.Current()) }

	// Tuesday: the invoice.
	past(Network("harbor.exe", "192.0.2.17", "203.0.113.80", "invoices.supplier.example").On(ws).
		At("2026-03-17T08:41:02Z").
		Verdict("UNKNOWN", -1, "").Judged(browserSHA256))
	past(File(lure, lureSHA256, lureMD5).On(ws).At("2026-03-17T08:41:09.120Z").Actor(browser).
		Verdict("SUSPICIOUS", 5, ""))
	both(Process(lure, `"`+lure+`" /open`, lureSHA256).On(ws).At("2026-03-17T08:42:30Z").
		Verdict("SUSPICIOUS", 6, ""))
	// The second stage.
	both(File(loader, loaderSHA256, loaderMD5).On(ws).At("2026-03-17T08:42:41.505Z").Actor(lure).
		Verdict("MALICIOUS", 8, "Win32.Trojan.Glasswing"))
	both(Process(loader, loader+` --quiet`, loaderSHA256).On(ws).At("2026-03-17T08:42:44Z").
		Verdict("MALICIOUS", 9, "Win32.Trojan.Glasswing"))
	now(File(temp+`update.exe.config`, scriptSHA256, scriptMD5).On(ws).At("2026-03-17T08:42:42Z").
		Verdict("UNKNOWN", -1, ""))
	both(Mutex(`Global\GLW-7f3a-once`, "update.exe").On(ws).At("2026-03-17T08:42:45Z").
		Verdict("MALICIOUS", 9, "Win32.Trojan.Glasswing").
		Judged(loaderSHA256))
	both(Registry(`HKCU\Software\Microsoft\Windows\CurrentVersion\Run`, "GlwUpdate", loader, "update.exe").
		On(ws).At("2026-03-17T08:42:46Z").
		Verdict("SUSPICIOUS", 4, ""))
	// It calls home.
	both(Network("update.exe", "192.0.2.17", "198.51.100.23", "cdn.glasswing.example").On(ws).
		At("2026-03-17T08:43:01Z").
		Image(loader, loaderSHA256).Verdict("MALICIOUS", 10, "Win32.Trojan.Glasswing").Judged(loaderSHA256))
	past(Network("update.exe", "192.0.2.17", "198.51.100.23", "cdn.glasswing.example").On(ws).
		At("2026-03-17T09:43:01Z").
		Image(loader, loaderSHA256).Verdict("MALICIOUS", 10, "Win32.Trojan.Glasswing").Judged(loaderSHA256))
	past(Network("update.exe", "192.0.2.17", "203.0.113.199", "").On(ws).At("2026-03-17T08:43:20Z").
		Image(loader, loaderSHA256).Verdict("SUSPICIOUS", 7, "").Judged(loaderSHA256))
	// The miner: two opinions, then removed.
	past(File(miner, minerSHA256, minerMD5).On(ws).At("2026-03-17T08:44:10Z").Actor(loader).
		Verdict("MALICIOUS", 8, "Win32.Coinminer.Glasswing").Verdict("UNKNOWN", -1, ""))
	both(File(miner, minerSHA256, minerMD5).On(ws).At("2026-03-17T10:05:33Z").Action("DELETED").
		Verdict("REMEDIATED", 1, "Win32.Coinminer.Glasswing"))
	both(Process(miner, miner+` -o pool.glasswing.example:3333`, minerSHA256).On(ws).
		At("2026-03-17T10:05:31Z").Action("TERMINATED").
		Verdict("REMEDIATED", 1, "Win32.Coinminer.Glasswing"))
	past(Network("winsvchelper.exe", "192.0.2.17", "2001:db8:bad::3333", "pool.glasswing.example").On(ws).
		At("2026-03-17T08:50:00Z").
		Image(miner, minerSHA256).Verdict("MALICIOUS", 10, "Win32.Coinminer.Glasswing").Judged(minerSHA256))
	// The share.
	past(Network("update.exe", "192.0.2.17", "192.0.2.5", "srv-files-01.corp.example").On(ws).
		At("2026-03-17T09:15:44Z").
		Image(loader, loaderSHA256).Verdict("SUSPICIOUS", 4, "").Judged(loaderSHA256))
	both(File(`D:\Shares\Public\update.exe`, loaderSHA256, loaderMD5).On(files).At("2026-03-17T09:15:47Z").
		Verdict("MALICIOUS", 8, "Win32.Trojan.Glasswing"))
	now(File(`D:\Shares\Public\tools\passview.exe`, toolSHA256, toolMD5).On(files).At("2026-03-17T09:16:20Z").
		Verdict("SUSPICIOUS", 2, "Win32.Riskware.Passview"))

	// Every day.
	both(Process(browser, browser, browserSHA256).On(ws).At("2026-03-17T07:58:00Z").Verdict("KNOWN", 0, ""))
	now(File(browser, browserSHA256, browserMD5).On(ws).At("2026-03-02T06:12:10Z").Verdict("KNOWN", 0, ""))
	past(Network("harbor.exe", "192.0.2.17", "198.51.100.2", "www.weather.example").On(ws).
		At("2026-03-17T08:02:11Z").
		Verdict("KNOWN", 0, "").Judged(browserSHA256))
	past(Network("harbor", "192.0.2.42", "198.51.100.2", "www.weather.example").On(lt).
		At("2026-03-18T12:31:40Z").Verdict("KNOWN", 0, ""))
	now(Network("QualysAgent.exe", "192.0.2.5", "203.0.113.8", "agents.qualys.example").On(files).
		At("2026-03-18T03:00:04Z").
		Verdict("KNOWN", 0, "").Judged(agentSHA256))
	now(File(agent, agentSHA256, agentMD5).On(files).At("2026-02-11T21:40:00Z").Verdict("KNOWN", 0, ""))
	now(File(agent, agentSHA256, agentMD5).On(ws).At("2026-02-11T21:42:30Z").Verdict("KNOWN", 0, ""))
	both(Process(agent, "", agentSHA256).On(files).At("2026-03-16T05:00:00Z").Verdict("KNOWN", 0, ""))
	now(Mutex(`Global\QualysAgentInstance`, "QualysAgent.exe").On(files).At("2026-03-16T05:00:01Z").
		Verdict("KNOWN", 0, ""))
	now(Mutex(`Local\HarborProfileLock`, "harbor.exe").On(ws).At("2026-03-17T07:58:03Z"))
	past(Registry(`HKLM\SOFTWARE\Harbor\Browser`, "Version", "148.0.2", "harbor.exe").On(ws).
		At("2026-03-02T06:12:30Z").Verdict("KNOWN", 0, ""))
	now(File("/usr/local/bin/sketchpad", editorSHA256, editorMD5).On(lt).At("2026-03-12T14:20:00Z").
		Verdict("UNKNOWN", -1, ""))
	past(Process("/usr/local/bin/sketchpad", "sketchpad --new poster.skp", editorSHA256).On(lt).
		At("2026-03-18T09:03:00Z").
		Verdict("UNKNOWN", -1, ""))
	return story
}

// StoryEnd is when the story is over: the evening after its last event.
func StoryEnd() time.Time { return time.Date(2026, 3, 18, 18, 0, 0, 0, time.UTC) }

// StoryObservables returns what an analyst would ask about the story: each kind that Qualys can be asked
// for, found and not.
func StoryObservables() []Observable {
	return []Observable{
		{"file_name", "Invoice-2026-0317.exe", "the invoice"},
		{"sha256", loaderSHA256, "the loader"},
		{"md5", loaderMD5, "the loader"},
		{"file_path", `C:\Users\mira\AppData\Local\Temp\glw`, "the folder it dropped into"},
		{"file_path", `D:\Shares\Public\update.exe`, "its copy on the share"},
		{"mutex", `Global\GLW-7f3a-once`, "its mutex"},
		{"domain", "cdn.glasswing.example", "where it calls home"},
		{"ip", "198.51.100.23", "where it calls home"},
		{"ipv6", "2001:db8:bad::3333", "the mining pool"},
		{"domain", "pool.glasswing.example", "the mining pool"},
		{"sha256", minerSHA256, "the miner, removed"},
		{"process_name", "update.exe", "the loader running"},
		{"ip", "192.0.2.17", "Mira's workstation"},
		{"hostname", "srv-files-01.corp.example", "the file server"},
		{"md5", toolMD5, "a tool left on the share"},
		{"ip", "198.51.100.2", "a weather site"},
		{"domain", "www.weather.example", "a weather site"},
		{"file_name", "harbor.exe", "the browser"},
		{"sha256", "0000000000000000000000000000000000000000000000000000000000000bad", "never seen"},
	}
}
