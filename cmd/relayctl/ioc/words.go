package ioc

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/publicsuffix"
)

// The lists hold their words between spaces.
const (
	// fileEndings are those of programs, scripts, documents and archives that are no top-level domain.
	fileEndings = ` exe dll sys scr cpl ocx msi msp mst msix lnk pif drv efi elf ko bin apk xpi crx bat cmd ps1 ` +
		`psm1 psd1 vbs vbe js jse wsf wsh hta sct jar war class php asp aspx ashx jsp jspx doc docx ` +
		`docm dot dotm rtf xls xlsx xlsm xlsb xll ppt pptx pptm ppsx pdf one odt ods xps csv txt log ` +
		`xml json yaml yml html htm mht svg eml msg ost pst chm ini inf reg url cfg conf config dat ` +
		`db tmp bak old evtx etl dmp pem key crt pfx settings manifest rar 7z gz tgz tar bz2 xz cab ` +
		`iso img vhd vhdx dmg pkg deb rpm png jpg jpeg gif bmp `
	// sharedEndings are those of files and top-level domains.
	sharedEndings = ` sh py pl so rs zip mov app md `
	// specialEndings are outside the public DNS and used by reports and networks (RFC 2606, 6762, 7686 and
	// custom).
	specialEndings = ` example test invalid local internal intranet lan corp home onion i2p bit bazar `

	// prose are words that reports use behind a path and that names hardly hold.
	prose = ` was were is are be been has have had the a an this that these which who it its they then ` +
		`when where while after before during via using into onto through between under within ` +
		`without because but not also so if as than per file files folder directory path binary ` +
		`process exists existed contains contained containing holds drops dropped dropping executes ` +
		`executed runs ran running launches launched loads loaded creates created writes wrote ` +
		`written deletes deleted starts started connects connected connecting contacted contacts ` +
		`downloads downloaded copies copied moved renamed found seen observed detected called calls ` +
		`appeared appears hash size signed unsigned executable came made spawned spawns opened opens ` +
		`beside alongside there we md5 sha1 sha256 MD5 SHA1 SHA256 SHA-1 SHA-256 `
	// joining are words that join the words of a name as well as the parts of a sentence.
	joining = ` and or to of for with in on from by at - – & + = `

	// mailProviders give an address to anybody; those of anyEnding do it with the ending of many countries.
	mailProviders = ` gmail.com googlemail.com msn.com ymail.com rocketmail.com icloud.com me.com mac.com web.de ` +
		`t-online.de freenet.de mail.ru bk.ru list.ru inbox.ru rambler.ru ya.ru proton.me ` +
		`protonmail.com pm.me tutanota.com tutanota.de tuta.io tuta.com qq.com foxmail.com 163.com ` +
		`126.com sina.com naver.com daum.net hanmail.net zoho.com zohomail.eu fastmail.com ` +
		`hushmail.com mail.com email.com cock.li onionmail.org dnmx.org disroot.org riseup.net ` +
		`mailfence.com mailinator.com guerrillamail.com orange.fr free.fr laposte.net libero.it ` +
		`virgilio.it seznam.cz wp.pl o2.pl onet.pl interia.pl rediffmail.com uol.com.br comcast.net ` +
		`verizon.net att.net `
	anyEnding = ` yahoo hotmail outlook live gmx yandex aol `
)

func in(list, word string) bool { return strings.Contains(list, " "+word+" ") }

var (
	// product matches names of software that look like domains or files.
	product = regexp.MustCompile(`^(?i:(?:asp|ado|vb|ml|paint)\.net|socket\.io|` +
		`(?:node|vue|next|nuxt|react|angular|three|express|chart|d3|backbone|ember)\.js)$|` +
		`^(?:System|Microsoft|Windows)\.[A-Z]`)

	// placeholder is what writers put where a name differs: <user>, {random}, [a-z0-9], %USERNAME%,
	// ${HOME}, ..., xxxx, and wildcards.
	placeholder = regexp.MustCompile(`[*?<>…]|\{[A-Za-z][A-Za-z _-]*\}|\[[A-Za-z][A-Za-z _-]*\]|\[\^?\w-\w|` +
		`%[A-Za-z_][\w()]*%|\$[{(]|\$env:|/\$\w|\.\.\.|\bXXX+\b|` +
		`[\\/]x{3,}(?:[\\/.]|$)|(?i:[\\/](?:username|redacted)[\\/])`)

	// commonFolder matches folders that every computer has: all that is below them would be found.
	commonFolder = regexp.MustCompile(`(?i)^(?:[a-z]:\\(?:windows(?:\\system32|\\syswow64|\\temp|\\tasks)?|` +
		`users(?:\\public)?|program files(?: \(x86\))?|program|programdata|temp)|` +
		`/(?:usr/(?:local/)?(?:s?bin|lib|share)|` +
		`var/(?:log|tmp|www|www/html|lib|run)|etc|tmp|home|root|` +
		`dev(?:/shm|/null)?|s?bin|proc|Users|Library|Applications))$`)

	// otherValue matches words that are observables or settings of their own.
	otherValue = regexp.MustCompile(`^[0-9A-Fa-f]{32,}|[=@]|^[\[{]|://`)
)

// fixedFolder is the folder that a variable of Windows stands for on nearly every computer, or "".
func fixedFolder(variable string) string {
	return map[string]string{
		"%systemdrive%": `C:`, "%systemroot%": `C:\Windows`, "%windir%": `C:\Windows`,
		"%programfiles%": `C:\Program Files`, "%programfiles(x86)%": `C:\Program Files (x86)`,
		"%programdata%": `C:\ProgramData`, "%allusersprofile%": `C:\ProgramData`,
		"%public%": `C:\Users\Public`,
	}[strings.ToLower(variable)]
}

func isProse(word string) bool {
	return in(prose, strings.TrimRight(word, ".,;:!?)")) || otherValue.MatchString(word)
}

// unclear is proseIn's answer where words may be a name or prose.
const unclear = -2

// proseIn finds where prose begins behind a name that may hold spaces: "Upd was created", "stage and then".
// It is -1 where all is name, and unclear for "Terms and Conditions.exe", which may be one file or two.
func proseIn(name []byte) int {
	words := strings.Split(string(name), " ")
	at := len(words[0])
	words = append(words, "")
	for i, word := range words[1 : len(words)-1] {
		next := words[i+2]
		first, _ := utf8.DecodeRuneInString(next)
		switch {
		case isProse(word), strings.HasPrefix(word, "(") && !strings.Contains(word, ")"):
			return at
		case !in(joining, word):
		case next == "" || isProse(next) || unicode.IsLower(first) && !hasFileEnding([]byte(next)):
			return at
		case word != "-" && hasFileEnding([]byte(next)):
			return unclear
		}
		at += 1 + len(word)
	}
	return -1
}

// ending is what stands behind the last dot, in lower case.
func ending(name string) string { return strings.ToLower(name[strings.LastIndexByte(name, '.')+1:]) }

// hasFileEnding reports whether a path or a name ends like a file, whatever stands before.
func hasFileEnding(s []byte) bool {
	tail := string(s[max(0, len(s)-12):]) // no ending is longer
	return strings.Contains(tail, ".") && in(fileEndings+sharedEndings+"com ", ending(tail))
}

// isFileName reports whether s reads as the name of a file: something before a known ending, and nothing
// that a file name cannot hold. A shared ending makes a file of a name with one dot: install.sh, not
// get.evil.sh.
func isFileName(s string) bool {
	dot := strings.LastIndexByte(s, '.')
	return dot > 0 && strings.Trim(s[:dot], ". ") != "" && !strings.ContainsAny(s, "\\/:*?\"<>|\ufffd\x00") &&
		(in(fileEndings, ending(s)) || in(sharedEndings, ending(s)) && strings.Count(s, ".") == 1)
}

// isMailProvider reports whether anybody can have a mail address at a domain.
func isMailProvider(domain string) bool {
	name, suffix, _ := strings.Cut(domain, ".")
	public, _ := publicsuffix.PublicSuffix(domain)
	return in(mailProviders, domain) || in(anyEnding, name) && suffix == public
}
