/// The commands of a broadcaster who wants a stream for members only, and of those members.
extension Command {
  static let membership = [createAuthority, issueCertificate, requestCertificate]

  static let createAuthority = Command(
    name: "ca create",
    operands: [Operand(name: "DIR", summary: "The folder to put the authority into")],
    summary: "Make the authority of a stream or a file for members only",
    details: """
      Its key decides who may have it; keep DIR/ca.key to yourself. A stream that is broadcast with --ca, or a file \
      that is seeded with it, answers nobody without a certificate of this authority, not even to say no. What is \
      sent is not encrypted.
      """,
    options: [
      Settings.streamOfAuthority.option, Settings.fileOfAuthority.option, Settings.contentChunkSize.option,
      Settings.hash.option,
    ],
    examples: [
      ("freshet key generate my.key", "the stream's key, once"),
      ("freshet ca create members --key my.key", "its authority, once"),
      ("freshet ca issue members --name alice", "for each member: give members/alice.pem to alice"),
      ("freshet broadcast INPUT --key my.key --ca members", "the stream, closed"),
      ("freshet join 'LINK' --certificate alice.pem --play", "what alice types"),
      (
        "freshet ca create club --file match.ts",
        "the authority of a file, for: freshet seed match.ts --ca club"
      ),
    ]
  )

  static let issueCertificate = Command(
    name: "ca issue",
    operands: [Operand(name: "DIR", summary: "The authority, from 'freshet ca create'")],
    summary: "Make a member: writes DIR/NAME.pem, for 'freshet join --certificate'",
    details: """
      The file holds the member's certificate and key: who has it is the member, so send it safely. With --public-key \
      the key stays with the member. A certificate cannot be taken back; it ends after --valid.
      """,
    options: [
      Settings.memberName.option, Settings.publicKey.option, Settings.address.option, Settings.valid.option,
    ],
    examples: [
      ("freshet ca issue members --name alice", "writes members/alice.pem, good for 30 days"),
      ("freshet ca issue members --name bob --public-key KEY", "for the key of 'freshet ca request'"),
    ]
  )

  static let requestCertificate = Command(
    name: "ca request",
    operands: [Operand(name: "FILE", summary: "Where to put the key; must not exist")],
    summary: "As a member, make a key of your own and print its public half for the broadcaster",
    details:
      "Only for members who want nobody else to hold their key; 'freshet ca issue' makes one otherwise.",
    options: [],
    examples: [
      ("freshet ca request me.key", "send what it prints to the broadcaster, and get a certificate back"),
      ("freshet join 'LINK' --certificate me.pem --identity me.key --play", "watch with both"),
    ]
  )
}
