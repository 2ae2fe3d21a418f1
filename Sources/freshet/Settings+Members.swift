/// The options of streams and files for members only.
extension Settings {
  static let authority = Setting(
    "ca",
    "DIR",
    "Answer members only: the authority from 'freshet ca create'; needs --key",
    read: Read.file
  )
  static let authorityOfFile = Setting(
    "ca",
    "DIR",
    "Answer members only: the authority from 'freshet ca create DIR --file FILE'",
    read: Read.file
  )
  static let certificate = Setting(
    "certificate",
    "FILE",
    "Your membership of a stream or a file that is for members only, as you were given it",
    read: Read.file
  )
  static let identity = Setting(
    "identity",
    "FILE",
    "Your key from 'freshet ca request', if the certificate was made for that",
    read: Read.file
  )
  static let streamOfAuthority = Setting(
    "key",
    "FILE",
    "The key of the stream, from 'freshet key generate'; certificates are good for this stream only",
    read: Read.file
  )
  static let fileOfAuthority = Setting(
    "file",
    "FILE",
    "Instead of a stream's key, a file for members only; --chunk-size and --hash are those that it is seeded with",
    read: Read.file
  )
  static let memberName = Setting(
    "name",
    "NAME",
    "Who the member is, in letters, digits, '.', '_' and '-'; also the name of the file",
    read: Read.memberName
  )
  static let publicKey = Setting(
    "public-key",
    "KEY",
    "The member's public key, as 'freshet ca request' printed it; without it a key is made",
    read: Read.publicKey
  )
  static let address = Setting(
    "address",
    "IP:PORT",
    "The only address at which the certificate is good; without it the member may be anywhere",
    read: Read.place
  )
  static let valid = Setting(
    "valid",
    "TIME",
    default: "720h",
    "How long the certificate is good",
    read: Read.duration(.seconds(1)...(.seconds(10 * 365 * 86_400)))
  )
}
