package extract

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/publicsuffix"
)

// windowsStart is how a Windows path begins, whatever follows.
var windowsStart = regexp.MustCompile(`(?i)^(?:[a-z]:[\\/]|\\\\[^\s\\]+\\|%[a-z_()0-9]+%\\).`)

func isPath(s string) bool { return windowsStart.MatchString(s) }

// fileEnding reports whether s is the ending of programs, scripts, documents or archives, and no top-level domain.
func fileEnding(s string) bool {
	switch s {
	case "exe", "dll", "sys", "scr", "cpl", "ocx", "msi", "msp", "mst", "lnk", "pif", "drv", "efi", "elf", "ko", "bin", "apk",
		"bat", "cmd", "ps1", "psm1", "psd1", "vbs", "vbe", "js", "jse", "wsf", "wsh", "hta", "sct", "jar", "class", "php", "asp", "aspx", "jsp",
		"doc", "docx", "docm", "dot", "dotm", "rtf", "xls", "xlsx", "xlsm", "xlsb", "xll", "ppt", "pptx", "pptm", "ppsx", "pdf", "one", "odt", "ods",
		"csv", "txt", "log", "xml", "json", "html", "htm", "mht", "svg", "eml", "msg", "chm", "ini", "inf", "reg", "url", "cfg", "conf", "dat", "db", "tmp", "bak",
		"rar", "7z", "gz", "tgz", "tar", "bz2", "xz", "cab", "iso", "img", "vhd", "vhdx", "dmg", "pkg", "deb", "rpm", "png", "jpg", "jpeg", "gif", "bmp":
		return true
	}
	return false
}

// sharedEnding reports whether s is the ending of a file as well as a top-level domain. A name with one dot is read as a file: install.sh, not
// get.evil.sh.
func sharedEnding(s string) bool {
	switch s {
	case "sh", "py", "pl", "so", "rs", "zip", "mov", "app":
		return true
	}
	return false
}

// isFileName reports whether s reads as the name of a file: something before a known ending, and nothing that a file name cannot hold.
func isFileName(s string) bool {
	dot := strings.LastIndexByte(s, '.')
	if dot <= 0 || strings.ContainsAny(s, `\/:*?"<>|`) || len(s) > 255*utf8.UTFMax || strings.Trim(s[:dot], ". ") == "" {
		return false
	}
	ending := strings.ToLower(s[dot+1:])
	return fileEnding(ending) || sharedEnding(ending) && strings.Count(s, ".") == 1
}

// domain reads a fully qualified name whose ending is a public suffix or one of the names kept for special use.
func domain(s string) (Observable, bool) {
	s = strings.ToLower(strings.TrimSuffix(s, "."))
	if !strings.Contains(s, ".") || !isDotted(s) || isNumeric(s) {
		return Observable{}, false
	}
	ending := s[strings.LastIndexByte(s, '.')+1:]
	if !specialUse(ending) {
		suffix, icann := publicsuffix.PublicSuffix(s)
		// A suffix without a dot that ICANN does not run is the list's answer for what it does not know.
		if !icann && !strings.Contains(suffix, ".") || suffix == s && icann {
			return Observable{}, false
		}
	}
	return Observable{Type: "domain", Value: s}, true
}

// specialUse reports whether s is an ending outside the public DNS that reports and networks use (RFC 2606, 6762, 7686, 8375 and custom).
func specialUse(s string) bool {
	switch s {
	case "example", "test", "local", "internal", "intranet", "lan", "corp", "home", "onion":
		return true
	}
	return false
}

// isDotted reports whether s has the form of a domain name: labels of letters, digits, hyphens and underscores, 63 bytes at most.
func isDotted(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) || r == utf8.RuneError {
				return false
			}
		}
	}
	return true
}

// isNumeric reports whether the last label is a number, which no top-level domain is.
func isNumeric(s string) bool {
	return strings.Trim(s[strings.LastIndexByte(s, '.')+1:], "0123456789") == ""
}

// glued reports whether s is two sentences without a space between them: "done.It".
func glued(s string) bool {
	dot := strings.LastIndexByte(s, '.')
	first, size := utf8.DecodeRuneInString(s[dot+1:])
	rest, _ := utf8.DecodeRuneInString(s[dot+1+size:])
	return unicode.IsUpper(first) && unicode.IsLower(rest)
}
