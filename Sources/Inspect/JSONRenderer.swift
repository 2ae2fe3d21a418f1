internal import PluginKit
internal import Text

/// Descriptions for programs: one JSON object each, on one line.
public struct JSONRenderer: Sendable {
  public init() {}

  public func render(_ datagram: DatagramDescription) -> String {
    var fields = [Field("type", .text("datagram")), Field("number", .unsigned(datagram.number))]
    if let time = datagram.time {
      // Nobody captured in the first days of 1970: it is the time of a day that is not known.
      fields.append(Field(time < HexHeader.unnamedDays ? "time_of_day" : "time", .seconds(time)))
    }
    if let source = datagram.source { fields.append(Field("from", .text(source.description))) }
    if let destination = datagram.destination { fields.append(Field("to", .text(destination.description))) }
    if let channel = datagram.channel { fields.append(Field("channel", .text(Figures.channel(channel)))) }
    if let opposite = datagram.opposite {
      fields.append(Field("opposite", .text(Figures.channel(opposite))))
    }
    fields.append(Field("length", .unsigned(UInt64(datagram.length))))
    fields.append(Field("messages", .list(datagram.messages.map { .object(self.fields($0)) })))
    if let problem = datagram.problem {
      let value = [
        Field("kind", .text(problem.kind.rawValue)),
        Field("reason", .text(problem.reason)),
        Field("offset", .unsigned(UInt64(problem.offset))),
        Field("rest", .text(Figures.hex(problem.rest))),
      ]
      fields.append(Field("problem", .object(value)))
    }
    if !datagram.bytes.isEmpty { fields.append(Field("hex", .text(Figures.hex(datagram.bytes)))) }
    return Self.object(fields) + "\n"
  }

  private func fields(_ message: MessageDescription) -> [Field] {
    var fields = [
      Field("message", .text(message.kind.rawValue)),
      Field("offset", .unsigned(UInt64(message.offset))),
      Field("length", .unsigned(UInt64(message.length))),
    ]
    if let chunks = message.chunks {
      fields.append(Field("first", .unsigned(chunks.lowerBound)))
      fields.append(Field("last", .unsigned(chunks.upperBound)))
    }
    fields += message.fields
    if let verdict = message.verdict {
      fields.append(Field("verdict", .text(verdict.name)))
      if case .unknown(let reason) = verdict { fields.append(Field("verdict_reason", .text(reason))) }
    }
    if message.kind == .data { fields.append(Field("duplicate", .flag(message.isDuplicate))) }
    return fields
  }

  public func render(_ summary: Summary) -> String { Self.object(summary.fields) + "\n" }

  private static func object(_ fields: [Field]) -> String {
    "{" + fields.map { "\($0.name.quotedAsJSON):\(text($0.value))" }.joined(separator: ",") + "}"
  }

  private static func text(_ value: Field.Value) -> String {
    switch value {
    case .unsigned(let number): "\(number)"
    case .signed(let number): "\(number)"
    case .seconds(let time): Figures.seconds(time)
    case .flag(let flag): "\(flag)"
    case .text(let text): text.quotedAsJSON
    case .list(let values): "[" + values.map(text).joined(separator: ",") + "]"
    case .object(let fields): object(fields)
    }
  }
}
