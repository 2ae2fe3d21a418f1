import Net

/// Where the owner of a running broadcast can speak to it.
final class ControlServer {
  /// Of the listener; those of connections follow.
  static let firstToken: UInt32 = 2
  /// The most connections at a time.
  private static let connectionLimit = 4

  private let listener: LocalListener
  /// By place; a request is known by it until it is answered.
  private var connections: [LocalConnection?] = Array(repeating: nil, count: connectionLimit)
  private var requests: [(connection: Int, line: String)] = []

  /// - Throws: `SystemError` where nobody can listen.
  init(at path: String, _ loop: borrowing EventLoop) throws(SystemError) {
    listener = try LocalListener.listen(at: path)
    do throws(NetError) {
      try loop.watch(listener.descriptor, token: Self.firstToken)
    } catch {
      if case .loop(let reason) = error { throw reason }
    }
  }

  /// Takes in what has come for a token of ours.
  func ready(_ token: UInt32, _ loop: borrowing EventLoop) {
    if token == Self.firstToken {
      while let connection = listener.accept() {
        // Who finds no place is cut off.
        guard let place = connections.firstIndex(where: { $0 == nil }) else { continue }
        let token = Self.firstToken + 1 + UInt32(place)
        guard (try? loop.watch(connection.descriptor, token: token)) != nil else { continue }
        connections[place] = connection
      }
      return
    }
    let place = Int(token - Self.firstToken - 1)
    guard connections.indices.contains(place), let connection = connections[place] else { return }
    switch connection.line() {
    case .whole(let line):
      guard !requests.contains(where: { $0.connection == place }) else { return }
      requests.append((place, line))
    case .unfinished: break
    case .none:
      loop.forget(connection.descriptor)
      connections[place] = nil
      requests.removeAll { $0.connection == place }
    }
  }

  /// The lines that came since the last time.
  func takeRequests() -> [(connection: Int, line: String)] {
    defer { requests.removeAll() }
    return requests
  }

  func answer(_ connection: Int, _ answer: Control.Answer) {
    connections[connection]?.send(line: answer.json)
  }
}
