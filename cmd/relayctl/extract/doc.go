// Package extract finds observables in free text: a pasted report, a mail, a log line, or a single value from a command line.
//
// It refangs first (hxxp, [.], (.), {.}, [:], [at] and their kind), then looks for one kind after the other, the most certain first. What a
// kind has claimed is not looked at again, so the domain in a URL is not found twice and the digits in a path are no hash.
//
// The rules, where text is ambiguous:
//
//   - TYPE:VALUE without a space after the colon (mutex:Global\Foo) is believed. In text the value ends at white space unless it is quoted.
//   - A URL gives its host. So does a mail address.
//   - A Windows path starts with a drive, \\ or %VARIABLE%\; a Unix path in text starts with a well-known folder such as /tmp or /usr.
//     Names with spaces must be quoted; "Program Files" and a few more are known.
//   - A dotted quad is an IP, unless something is glued to it (v1.2.3.4, 1.2.3.4.5) or it names a network (10.0.0.0/8).
//   - An IPv6 address in text starts with a group of three or four digits, which every routable one does; a::b in code is none.
//   - A name ending like a program, script, document or archive is a file name. Endings that are top-level domains too (.com, .zip, .sh)
//     are domains, except that a single short name such as install.sh is a file.
//   - Every other dotted name is a domain where the Public Suffix List knows its ending, or where it ends in .example, .test, .local and their
//     kind. A capital after a full stop (done.It) is a missing space.
package extract
