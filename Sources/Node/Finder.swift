import MediaIO
import Net
import PluginKit
internal import Threads

/// A discovery plugin with its timers, and the names that it finds turned into addresses.
struct Finder {
  /// The most timers that a discovery may set.
  private static let timerLimit = 64
  /// The most peers that are passed on at once.
  private static let hintLimit = 64

  private var discovery: any Discovery
  private var random: RandomSource
  private var timers: [(id: UInt32, time: Duration)] = []
  private var found: [(Address, PeerID?)] = []
  private let names: NameTable

  init(_ discovery: any Discovery, seed: UInt64, waker: Waker) {
    self.discovery = discovery
    random = RandomSource(seed: seed)
    names = NameTable(waker)
  }

  var nextTimeout: Duration? { timers.lazy.map(\.time).min() }

  mutating func tell(_ event: DiscoveryEvent, now: Duration) {
    var context = DiscoveryContext(now: now, random: random)
    discovery.handle(event, &context)
    random = context.random
    for action in context.actions {
      switch action {
      case .found(let hints): add(hints)
      case .setTimer(let id, let time):
        timers.removeAll { $0.id == id }
        if timers.count < Self.timerLimit { timers.append((id, time)) }
      case .cancelTimer(let id): timers.removeAll { $0.id == id }
      @unknown default: break
      }
    }
  }

  mutating func timeout(now: Duration) {
    while let index = timers.firstIndex(where: { $0.time <= now }) {
      tell(.timer(timers.remove(at: index).id), now: now)
    }
  }

  /// The peers that were found since the last call and whose addresses are known.
  mutating func take() -> [(Address, PeerID?)] {
    found += names.take()
    defer { found.removeAll(keepingCapacity: true) }
    return found
  }

  private mutating func add(_ hints: [Hint]) {
    for hint in hints.prefix(Self.hintLimit) where found.count < Self.hintLimit {
      switch hint.place {
      case .address(let address): found.append((address, hint.id))
      case .name(let text):
        guard let place = try? HostPort(text) else { continue }
        if let address = place.numeric {
          found.append((address, hint.id))
        } else {
          names.resolve(place, for: hint.id)
        }
      @unknown default: break
      }
    }
  }
}

/// Asks the name servers on threads of its own, so that the host never waits for them.
private final class NameTable: Sendable {
  /// The most names that are asked for at the same time.
  private static let limit = 8

  private struct State {
    var asking: Set<HostPort> = []
    var answers: [(Address, PeerID?)] = []
  }

  private let state = Monitor(State())
  private let waker: Waker

  init(_ waker: Waker) { self.waker = waker }

  func resolve(_ place: HostPort, for id: PeerID?) {
    let isNew = state.change { state in
      state.asking.count < Self.limit && state.asking.insert(place).inserted
    }
    guard isNew else { return }
    let hasThread = startThread { [self] in
      let addresses = (try? place.resolve()) ?? []
      state.change { state in
        state.asking.remove(place)
        state.answers += addresses.map { ($0, id) }
      }
      waker.wake()
    }
    if !hasThread { state.change { _ = $0.asking.remove(place) } }
  }

  func take() -> [(Address, PeerID?)] {
    let isEmpty = state.read { $0.answers.isEmpty }
    if isEmpty { return [] }
    return state.change { state in
      defer { state.answers.removeAll() }
      return state.answers
    }
  }
}
