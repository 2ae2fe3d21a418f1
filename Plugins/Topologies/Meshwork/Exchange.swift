package import PluginKit

/// How chunks are exchanged among neighbours: offers, and requests for what was offered.
///
/// A peer offers no more than its upload carries, the newest chunks first, each to neighbours that are not known to have
/// it or to be getting it: what is offered can be had, and nobody is asked by all at once. Who hears an offer asks for the
/// chunk at once, so that it multiplies with each round trip. Beside the offers all tell each other twice a second what
/// they have, so that an old chunk that is still missing can be asked of anybody.
package struct Exchange: Sendable {
  package struct Rules: Sendable {
    /// How long offers are gathered.
    package var pace = Duration.milliseconds(25)
    /// How long a chunk may take to be of use.
    package var deadline = Duration.seconds(3)
    /// The part of the upload that is offered.
    package var share = 0.85

    /// After this a chunk is asked of anybody who has it.
    package var patience = Duration.milliseconds(700)
    /// The same for a chunk that is to be pushed to us.
    package var pushPatience = Duration.milliseconds(2000)
    /// How often partners are told of all that is held.
    package var holdingInterval = Duration.milliseconds(500)

    package init() {}
  }

  /// A request on its way.
  private struct Flight {
    var chunk: UInt64
    var peer: PeerRef
    var since: Duration
    /// The host has given it up; it may come all the same until then.
    var grace: Duration?
  }

  /// A chunk that is being offered.
  private struct Fresh {
    var chunk: UInt64
    /// The first place in the list of partners that it was not offered to yet.
    var turn: Int
    var left: Int
  }

  package static let partnerLimit = Membership.activeLimit
  private static let flightLimit = 256
  private static let freshLimit = 1024
  private static let grace = Duration.milliseconds(150)
  /// A partner that has been silent for so long is not asked.
  private static let quiet = Duration.milliseconds(800)
  /// So far one neighbour alone is believed to be ahead.
  private static let belief = Duration.seconds(3)
  /// For so long a chunk is offered.
  private static let freshTime = Duration.milliseconds(1500)
  private static let paceTimer: UInt32 = 2
  private static let holdingTimer: UInt32 = 3

  package let rules: Rules
  package private(set) var partners: [Partner] = []
  package private(set) var held = ChunkSet()
  private var asked = ChunkSet()
  private var flights: [Flight] = []
  private var fresh: [Fresh] = []
  private var isPaced = false
  private var lastPace = Duration.zero
  /// How many chunks may still be offered, and when that was reckoned.
  private var budget = 0.0
  private var budgeted = Duration.zero
  /// The first chunk that is wanted; `nil` before anybody has told of any.
  package private(set) var first: UInt64?
  /// Until when a newcomer catches up.
  private var fillsUntil = Duration.zero
  /// The newest chunk that surely exists.
  package private(set) var newest: UInt64 = 0
  /// The newest chunk that may exist, as somebody says.
  private var reach: UInt64 = 0
  package var role = Role.relay
  package var upload: UInt64 = 0
  /// The stripes that are pushed to us: only what is overdue of them is asked for.
  package var fed: StripeSet = []
  /// Chunks that should have been pushed to us.
  private var overdue = ChunkSet()

  package init(_ rules: Rules = Rules()) { self.rules = rules }

  package mutating func begin(_ context: inout TopologyContext) {
    for range in context.held { held.insert(range) }
    newest = held.last ?? 0
    reach = newest
    if let last = context.window.last { first = last }
    context.emit(.setTimer(Self.holdingTimer, at: context.now + rules.holdingInterval))
  }

  package func place(of peer: PeerRef) -> Int? { partners.firstIndex { $0.peer == peer } }

  // MARK: Partners

  package mutating func add(_ neighbour: Membership.Neighbour, _ context: inout TopologyContext) {
    guard place(of: neighbour.peer) == nil, partners.count < Self.partnerLimit else { return }
    partners.append(Partner(neighbour, now: context.now))
    tellHolding(partners.count - 1, &context)
  }

  package mutating func remove(_ peer: PeerRef, _ context: inout TopologyContext) {
    guard let place = place(of: peer) else { return }
    partners.remove(at: place)
    for flight in flights where flight.peer == peer { asked.remove(flight.chunk) }
    flights.removeAll { $0.peer == peer }
    ask(&context)
  }

  /// Judges partners anew; who brought least since the last time is given, when it is worth nothing.
  package mutating func judge() -> PeerRef? {
    let least = partners.min { ($0.brought, $0.peer) < ($1.brought, $1.peer) }
    for place in partners.indices { partners[place].brought = 0 }
    return least.flatMap { $0.brought == 0 ? $0.peer : nil }
  }

  // MARK: What others have

  /// Takes in what a partner tells of its chunks; false when the note is about something else.
  package mutating func hear(_ note: Note, from peer: PeerRef, _ context: inout TopologyContext) -> Bool {
    guard let place = place(of: peer) else { return false }
    partners[place].heard = context.now
    switch note {
    case .offer(let word, let bits):
      let count = bits.count / 2
      for index in 0..<count {
        partners[place].has.insert(bits[index], at: word + UInt64(index))
        partners[place].offers.insert(bits[index], at: word + UInt64(index))
        partners[place].taken.insert(bits[index] | bits[count + index], at: word + UInt64(index))
      }
    case .holding(let word, let bits):
      for (index, value) in bits.enumerated() {
        partners[place].has.insert(value, at: word + UInt64(index))
        partners[place].taken.insert(value, at: word + UInt64(index))
      }
    default: return false
    }
    noteNewest(context)
    ask(&context)
    return true
  }

  /// Reckons how far the stream is.
  ///
  /// One neighbour alone is believed only a little way beyond what is held, which is genuine, or what a second one has: or
  /// who lies would make all real chunks look too old to be asked for.
  private mutating func noteNewest(_ context: TopologyContext) {
    var highest: UInt64 = 0
    var anchor = held.last ?? 0
    for partner in partners {
      guard let last = partner.has.last else { continue }
      anchor = max(anchor, min(last, highest))
      highest = max(highest, last)
    }
    highest = max(highest, anchor)
    newest = anchor == 0 ? highest : anchor
    reach = min(highest, newest + Self.chunks(in: Self.belief, context) + 64)
    if let first, first > newest { self.first = nil }
    guard first == nil, newest > 0, role != .source else { return }
    // A newcomer also wants what was published since it came: joining takes a second or so.
    let back = Self.chunks(in: .milliseconds(1500), context)
    first = newest > back ? newest - back : 0
    fillsUntil = context.now + .seconds(4)
  }

  package static func chunks(in time: Duration, _ context: TopologyContext) -> UInt64 {
    let bits = UInt64(max(1, context.stream.chunkSize)) * 8
    return UInt64(time / .milliseconds(1)) * context.stream.rate / 1000 / bits
  }

  // MARK: What we have

  package mutating func arrived(_ arrivals: [ChunkArrival], _ context: inout TopologyContext) {
    for arrival in arrivals {
      held.insert(arrival.chunk)
      if let place = place(of: arrival.from) {
        partners[place].heard = context.now
        partners[place].has.insert(arrival.chunk)
        partners[place].taken.insert(arrival.chunk)
        partners[place].brought += 1
      }
      land(arrival, context)
      guard role != .leaf, upload > 0 else { continue }
      if fresh.count >= Self.freshLimit { fresh.removeFirst() }
      fresh.append(Fresh(chunk: arrival.chunk, turn: Int(context.random.next() >> 33), left: partners.count))
    }
    noteNewest(context)
    if !isPaced, !fresh.isEmpty {
      isPaced = true
      context.emit(.setTimer(Self.paceTimer, at: max(context.now, lastPace + rules.pace)))
    }
    ask(&context)
  }

  private mutating func land(_ arrival: ChunkArrival, _ context: TopologyContext) {
    guard let index = flights.firstIndex(where: { $0.chunk == arrival.chunk }) else { return }
    let flight = flights.remove(at: index)
    asked.remove(flight.chunk)
    guard let place = place(of: flight.peer) else { return }
    if flight.grace == nil { partners[place].outstanding = max(0, partners[place].outstanding - 1) }
    guard flight.peer == arrival.from else { return }
    // What comes without having waited long shows that more can be asked for.
    let time = context.now - flight.since
    let isQuick = time < partners[place].roundTrip * 5 / 4 + .milliseconds(25)
    let window = partners[place].window + (isQuick ? 1 : -0.5) / partners[place].window
    partners[place].window = min(max(1, window), Partner.windowLimit)
  }

  package mutating func failed(
    _ peer: PeerRef,
    _ chunks: ClosedRange<UInt64>,
    _ reason: RequestFailure,
    _ context: inout TopologyContext
  ) {
    let place = place(of: peer)
    var isLate = false
    for index in flights.indices.reversed()
    where flights[index].peer == peer && chunks.contains(flights[index].chunk) && flights[index].grace == nil
    {
      if let place {
        partners[place].outstanding = max(0, partners[place].outstanding - 1)
        // It may have been lost: then it is to be offered no more.
        partners[place].offers.remove(flights[index].chunk)
        partners[place].has.remove(flights[index].chunk)
      }
      let isAlive = place.map { context.now - partners[$0].heard < .milliseconds(400) } ?? false
      if reason == .timeout, isAlive {
        flights[index].grace = context.now + Self.grace
        isLate = true
      } else {
        asked.remove(flights[index].chunk)
        flights.remove(at: index)
      }
    }
    if let place {
      partners[place].window = max(1, partners[place].window * (reason == .timeout ? 0.7 : 0.5))
    }
    if isLate { wake(&context) }
    ask(&context)
  }

  /// Chunks that did not come by themselves.
  package mutating func missed(_ chunks: [UInt64], _ context: inout TopologyContext) {
    for chunk in chunks where !held.contains(chunk) { overdue.insert(chunk) }
    if !chunks.isEmpty { ask(&context) }
  }

  package mutating func note(_ peer: PeerRef, isFed stripes: StripeSet) {
    if let place = place(of: peer) { partners[place].fed = stripes }
  }

  // MARK: Offering

  private mutating func wake(_ context: inout TopologyContext) {
    guard !isPaced else { return }
    isPaced = true
    context.emit(.setTimer(Self.paceTimer, at: context.now + rules.pace))
  }

  /// Whether the timer was one of ours.
  package mutating func timer(_ number: UInt32, _ context: inout TopologyContext) -> Bool {
    switch number {
    case Self.paceTimer:
      isPaced = false
      lastPace = context.now
      offer(&context)
      for flight in flights {
        if let grace = flight.grace, grace <= context.now { asked.remove(flight.chunk) }
      }
      flights.removeAll { $0.grace.map { $0 <= context.now } ?? false }
      if !fresh.isEmpty || flights.contains(where: { $0.grace != nil }) { wake(&context) }
      ask(&context)
    case Self.holdingTimer:
      context.emit(.setTimer(Self.holdingTimer, at: context.now + rules.holdingInterval))
      for place in partners.indices { tellHolding(place, &context) }
      ask(&context)
    default: return false
    }
    return true
  }

  private mutating func offer(_ context: inout TopologyContext) {
    let count = partners.count
    guard count > 0 else {
      fresh = []
      return
    }
    refill(context)
    // Those that came last are the rarest.
    var index = fresh.count - 1
    while index >= 0, budget >= 1 {
      let chunk = fresh[index].chunk
      var given = 0
      while fresh[index].left > 0, budget >= 1, given < 2 {
        let place = fresh[index].turn % count
        fresh[index].turn = place + 1
        fresh[index].left -= 1
        guard !partners[place].taken.contains(chunk),
          !partners[place].fed.contains(stripe: Int(chunk % UInt64(context.stream.stripes))),
          !partners[place].offered.contains(chunk)
        else { continue }
        partners[place].offer(chunk)
        budget -= 1
        given += 1
      }
      index -= 1
    }
    let useful = Self.chunks(in: Self.freshTime, context)
    let oldest = newest > useful ? newest - useful : 0
    fresh.removeAll { $0.left <= 0 || $0.chunk < oldest }
    for place in partners.indices {
      guard let words = partners[place].newOffers else { continue }
      partners[place].newOffers = nil
      let last = words.upperBound
      let first = max(words.lowerBound, last > 3 ? last - 3 : 0)
      let offers = (first...last).map { partners[place].offered.word($0) }
      let takes = (first...last).map { held.word($0) | asked.word($0) }
      context.emit(.send(partners[place].peer, Note.offer(word: first, bits: offers + takes).bytes))
    }
  }

  /// What the upload has carried since the last time may be offered.
  private mutating func refill(_ context: TopologyContext) {
    let bits = Double(max(1, context.stream.chunkSize)) * 8 * 1.1
    let rate = Double(upload) * rules.share / bits
    let burst = max(2, rate * 0.15)
    budget = min(burst, budget + rate * ((context.now - budgeted) / .seconds(1)))
    budgeted = context.now
  }

  /// Tells a partner of all that is held; the source gives nothing but what it offers.
  private func tellHolding(_ place: Int, _ context: inout TopologyContext) {
    guard role != .source, let last = held.last else {
      context.emit(.send(partners[place].peer, Note.holding(word: 0, bits: [0]).bytes))
      return
    }
    let span = min(ChunkSet.wordLimit - 1, Self.chunks(in: rules.deadline, context) / 64 + 1)
    let top = last >> 6
    let first = top > span ? top - span : 0
    let bits = (first...top).map { held.word($0) }
    context.emit(.send(partners[place].peer, Note.holding(word: first, bits: bits).bytes))
  }

  // MARK: Asking

  /// Asks for all that can be had and has not been asked for.
  private mutating func ask(_ context: inout TopologyContext) {
    guard role != .source, let first, flights.count < Self.flightLimit, !partners.isEmpty else { return }
    // Old enough that offers are no longer waited for, and too old to be of use.
    let urgentSpan = Self.chunks(in: rules.patience, context)
    let usefulSpan = Self.chunks(in: rules.deadline, context)
    let urgent = newest > urgentSpan ? newest - urgentSpan : 0
    let pushSpan = Self.chunks(in: rules.pushPatience, context)
    let pushUrgent = newest > pushSpan ? newest - pushSpan : 0
    let oldest = max(first, newest > usefulSpan ? newest - usefulSpan : 0)
    guard oldest <= reach else { return }
    var wanted: [(key: UInt64, chunk: UInt64)] = []
    var room = 0
    for partner in partners where partner.hasRoom && context.now - partner.heard < Self.quiet {
      room += Int(partner.window.rounded(.up)) - partner.outstanding
    }
    guard room > 0 else { return }
    for number in oldest >> 6...reach >> 6 {
      var bits: UInt64 = 0
      let isOld = number << 6 < urgent
      let pushed = fed == [] ? 0 : Self.mask(fed, stripes: context.stream.stripes, word: number)
      let late = overdue.word(number)
      for partner in partners where partner.hasRoom && context.now - partner.heard < Self.quiet {
        bits |= partner.offers.word(number) & ~pushed
        bits |= partner.has.word(number) & (isOld ? .max : late)
      }
      bits &= ~held.word(number) & ~asked.word(number)
      while bits != 0 {
        let chunk = number << 6 + UInt64(bits.trailingZeroBitCount)
        bits &= bits - 1
        guard chunk >= oldest, chunk <= reach, wanted.count < 512 else { continue }
        if chunk >= pushUrgent, pushed & 1 << (chunk & 63) != 0, !overdue.contains(chunk) { continue }
        wanted.append((rank(chunk, urgent: urgent, context), chunk))
      }
    }
    if wanted.count > 1 { wanted.sort { ($0.key, $0.chunk) < ($1.key, $1.chunk) } }
    for (_, chunk) in wanted where flights.count < Self.flightLimit {
      guard let place = holder(of: chunk, isUrgent: chunk < urgent || overdue.contains(chunk), &context)
      else { continue }
      flights.append(Flight(chunk: chunk, peer: partners[place].peer, since: context.now, grace: nil))
      asked.insert(chunk)
      partners[place].outstanding += 1
      context.emit(.request(chunk...chunk, from: partners[place].peer))
    }
  }

  /// The chunks of a word that belong to some stripes.
  static func mask(_ set: StripeSet, stripes: Int, word: UInt64) -> UInt64 {
    if set == .first(stripes) { return .max }
    var mask: UInt64 = 0
    var stripe = Int(word << 6 % UInt64(stripes))
    for bit in UInt64(0)..<64 {
      if set.contains(stripe: stripe) { mask |= 1 << bit }
      stripe = stripe + 1 == stripes ? 0 : stripe + 1
    }
    return mask
  }

  /// What is asked for first: what fewest have, of those the newest, and then what has been missing for long.
  ///
  /// Who asked for the oldest first would leave everybody with nothing that others lack.
  private func rank(_ chunk: UInt64, urgent: UInt64, _ context: TopologyContext) -> UInt64 {
    guard chunk >= urgent else { return 1 << 48 + chunk }
    let holders = partners.count { $0.has.contains(chunk) }
    return UInt64(1 + holders) << 32 + (reach - chunk)
  }

  /// Whom to ask: of those who have it and can carry more, who has least to do.
  private func holder(of chunk: UInt64, isUrgent: Bool, _ context: inout TopologyContext) -> Int? {
    var best: Int?
    var bestLoad = Double.infinity
    for place in partners.indices where partners[place].hasRoom {
      guard partners[place].offers.contains(chunk) || isUrgent && partners[place].has.contains(chunk),
        context.now - partners[place].heard < Self.quiet
      else { continue }
      let noise = Double(context.random.next() >> 40) * 0x1p-24
      // Holes are filled with what the new chunks leave over.
      if isUrgent, context.now > fillsUntil, !overdue.contains(chunk),
        Double(partners[place].outstanding) * 2 >= partners[place].window
      {
        continue
      }
      let load = (Double(partners[place].outstanding) + noise) / partners[place].window
      if load < bestLoad {
        best = place
        bestLoad = load
      }
    }
    return best
  }
}
