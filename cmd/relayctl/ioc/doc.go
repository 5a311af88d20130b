// Package ioc finds observables in text as people write it: a pasted incident report, a mail, a log, or one
// value on a command line.
//
// The rule above all: a match that was cut off never becomes a wider question.
// `C:\Users\<user>\AppData\x.exe` is neither the folder `C:\Users\` nor any file called `x.exe`. What
// cannot be asked as it stands, or whose end is not clear, is skipped, and Extract says why.
//
// Text is first refanged (`hxxp://evil[.]example`, zero-width characters, typographic quotes, JSON's
// backslashes), then searched for one kind of observable after the other, the most certain first (see
// kinds). What a kind has claimed is not looked at again: the digits in a path are no hash.
//
// The rules, where text is ambiguous:
//
//   - TYPE:VALUE without a space (mutex:Global\Foo) is believed, also for an address that is skipped
//     elsewhere.
//   - A URL gives its host, with or without a scheme; so does a mail address, marked where everybody may
//     have one.
//   - A path with spaces goes on to the first known file ending. Without one, it ends where prose begins
//     ("C:\ProgramData\Upd was created"); where that does not show, it has to be in quotation marks.
//   - %windir% and the like are read as the folders that they are on nearly every computer. What differs
//     for each user (%APPDATA%, ~) is skipped.
//   - Networks are skipped, and addresses that are the same on every computer (loopback, link-local,
//     multicast); private and documentation addresses are not.
//   - A name that ends like a program, script, document or archive is a file name. Where the ending is a
//     top-level domain too (.zip, .sh, .md), a name with one dot is a file, unless its dot is defanged.
//     Other dotted names are domains if the Public Suffix List knows their ending.
package ioc
