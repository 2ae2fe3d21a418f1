internal import Node
internal import Text

/// What `freshet topology` was asked for.
package struct SwapTask: Hashable, Sendable {
  package let topology: PluginChoice
  /// Of the broadcast; nil for the only one.
  package let port: UInt16?
  package let isJSON: Bool

  init(_ values: Values) throws(UsageError) {
    topology = try Read.plugin(values.operands[0])
    port = try values.optional(Settings.broadcastPort)
    isJSON = try values.isOn(Settings.swapJSON)
  }

  /// Changes the topology, and says how that went.
  func run(_ environment: [String: String]) throws -> String {
    let answer = try ControlClient.swap(
      Control.Request(topology: topology.name, parameters: topology.parameters),
      port: port,
      in: ControlClient.folder(environment)
    )
    switch answer {
    case .refused(let sentence): throw CommandError(sentence)
    case .swapped(let outcome): return isJSON ? answer.json + "\n" : Self.text(outcome)
    }
  }

  private static func text(_ outcome: Control.Outcome) -> String {
    let parameters = outcome.parameters.isEmpty ? "" : ":" + outcome.parameters
    let seconds = Number.fixed(Double(outcome.afterMilliseconds) / 1000, decimals: 1)
    return """
      \(outcome.topology)\(parameters) carries the stream from chunk \(outcome.from.grouped) on, \(seconds) s after the \
      command (epoch \(outcome.epoch))
      \(outcome.neighbours.grouped) viewers next to the source: longest gap \(outcome.gapMilliseconds.grouped) ms, \
      \(outcome.lost.grouped) chunks lost, \(outcome.duplicates.grouped) came twice

      """
  }
}
