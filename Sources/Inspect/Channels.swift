internal import Integrity
internal import PluginKit
internal import Swarm
internal import Wire

/// All channels that were seen, and what their HANDSHAKEs said.
struct Channels {
  /// The most ends that are remembered; those not heard of for longest are forgotten first.
  static let endLimit = 4096
  /// The most swarms whose chunks are checked.
  static let swarmLimit = 64
  /// The most bytes that the hashes of all content take; what is not known yet takes addresses but no memory.
  static let hashLimit = MerkleTree.memoryLimit

  /// What holds where no HANDSHAKE was seen.
  private let link: Swarm.Link?
  private(set) var ends: [ChannelName: ChannelEnd] = [:]
  private(set) var swarms: [KnownSwarm] = []
  private var clock: UInt64 = 0

  init(link: Swarm.Link?) {
    self.link = link
    if let link {
      // Its place is kept, however many others there are.
      _ = swarm(
        SwarmTerms(
          id: link.name.bytes,
          integrity: link.integrity,
          function: link.function,
          addressing: link.addressing,
          chunkSize: link.chunkSize
        )
      )
    }
  }

  subscript(name: ChannelName) -> ChannelEnd? { ends[name] }

  /// The other end of a channel.
  func opposite(of name: ChannelName) -> ChannelName? {
    guard let end = ends[name], let number = end.opposite else { return nil }
    return ChannelName(owner: end.remote, number: number)
  }

  /// Changes what is known of an end, if it is known at all.
  mutating func update(_ name: ChannelName, _ body: (inout ChannelEnd) -> Void) {
    guard let index = ends.index(forKey: name) else { return }
    body(&ends.values[index])
  }

  /// Takes note of a datagram for a channel that is not 0.
  ///
  /// Without a link, what is for a channel that was not opened cannot be read, and may be no PPSPP.
  mutating func hear(_ name: ChannelName, from source: Address?, bytes: Int) {
    if ends[name] == nil, link != nil { insert(ChannelEnd(), as: name, from: source) }
    clock += 1
    let clock = clock
    update(name) { end in
      end.datagrams += 1
      end.bytes += UInt64(bytes)
      end.lastHeard = clock
    }
  }

  private mutating func insert(_ end: ChannelEnd, as name: ChannelName, from source: Address?) {
    if ends.count >= Self.endLimit { forget() }
    clock += 1
    var end = end
    end.remote = source
    end.lastHeard = clock
    ends[name] = end
    learn(name)
    guard source != nil, end.opposite == nil, end.offer == nil else { return }
    // Seen in mid-stream: when the two have only one channel with each other, this is its other end.
    let others = ends.filter { key, value in
      key.owner == source && value.remote == name.owner && value.opposite == nil && value.offer == nil
        && key != name
    }
    guard others.count == 1, let other = others.first?.key else { return }
    ends[name]?.opposite = other.number
    ends[other]?.opposite = name.number
    learn(name)
    learn(other)
  }

  /// Makes room, for many at once because it takes long.
  private mutating func forget() {
    let old = ends.sorted { $0.value.lastHeard < $1.value.lastHeard }.prefix(Self.endLimit / 4)
    for (name, _) in old { ends[name] = nil }
  }

  /// What a HANDSHAKE from `sender` for `receiver` says of the channel.
  ///
  /// Returns how long after the first one it answers it.
  mutating func handshake(
    _ offer: HandshakeOptions,
    from sender: ChannelName,
    to receiver: ChannelName,
    at time: Duration?
  ) -> Duration? {
    let isOpening = receiver.number == 0
    let known = ends[sender]
    // The same number with another offer is another channel.
    if known == nil || known?.isClosed == true || known?.offer != nil && known?.offer != offer
      || known?.remote != receiver.owner
    {
      ends[sender] = nil
      insert(ChannelEnd(offer: offer, isInitiator: isOpening, opened: time), as: sender, from: receiver.owner)
    } else {
      update(sender) { end in end.offer = offer }
    }
    if isOpening {
      learn(sender)
      return nil
    }
    if ends[receiver] == nil { insert(ChannelEnd(), as: receiver, from: sender.owner) }
    update(sender) { end in end.opposite = receiver.number }
    update(receiver) { end in
      end.opposite = sender.number
      end.remote = sender.owner
    }
    learn(sender)
    learn(receiver)
    guard let time, let began = ends[receiver]?.opened, known == nil else { return nil }
    return time - began
  }

  /// The channel to `receiver` is closed.
  mutating func close(_ receiver: ChannelName) {
    let other = opposite(of: receiver)
    update(receiver) { end in end.isClosed = true }
    if let other { update(other) { end in end.isClosed = true } }
  }

  /// The place of a swarm in the list.
  private mutating func swarm(_ terms: SwarmTerms) -> Int? {
    if let index = swarms.firstIndex(where: { $0.terms == terms }) { return index }
    guard swarms.count < Self.swarmLimit, terms.id.count <= SwarmID.maximumLength else { return nil }
    swarms.append(KnownSwarm(terms))
    return swarms.count - 1
  }

  // MARK: Proofs

  /// Judges a chunk for an end; nil where nothing is there to judge by.
  mutating func verdict(
    _ chunk: UInt64,
    _ payload: RawSpan,
    for name: ChannelName,
    signature: ChannelEnd.Signature?
  ) -> Verdict? {
    guard let end = ends[name], let index = end.swarm else { return .unknown("the swarm is not known") }
    let before = swarms[index].hashBytes
    let verdict = swarms[index].verdict(chunk, payload, signature: signature, hashes: end.hashes)
    if swarms[index].hashBytes > before, swarms.reduce(0, { $0 + $1.hashBytes }) > Self.hashLimit {
      swarms[index].giveUp("the content of this capture has more chunks than there is memory for")
    }
    return verdict
  }

  /// Judges the signature of a subtree for an end; nil where subtrees are not signed.
  mutating func verdict(
    munro chunks: ChunkRange,
    timestamp: UInt64,
    signature: RawSpan,
    for name: ChannelName
  ) -> Verdict? {
    guard let end = ends[name], let index = end.swarm else { return nil }
    return swarms[index].verdict(
      munro: chunks,
      timestamp: timestamp,
      signature: signature,
      hashes: end.hashes
    )
  }

  /// Keeps a hash that was sent to an end.
  mutating func keep(_ chunks: ChunkRange, _ hash: RawSpan, for name: ChannelName) {
    guard let function = ends[name]?.swarm.map({ swarms[$0].terms.function }) else { return }
    update(name) { end in end.keep(chunks, hash, function) }
  }

  /// A datagram with hashes was read, the last of them for a chunk.
  mutating func learn(_ chunk: UInt64, for name: ChannelName) {
    guard let end = ends[name], let index = end.swarm, let hashes = end.hashes else { return }
    swarms[index].learn(chunk, from: hashes)
  }

  /// Finds out how datagrams to an end are read, from what both ends have said and from the link.
  private mutating func learn(_ name: ChannelName) {
    guard let end = ends[name] else { return }
    let offers = [end.offer, opposite(of: name).flatMap { ends[$0]?.offer }]
    func first<Value>(_ option: (HandshakeOptions) -> Value?) -> Value? {
      for case let offer? in offers { if let value = option(offer) { return value } }
      return nil
    }
    let id = first(\.swarmID)
    // A link says nothing of other swarms than its own.
    let link = id == nil || id == link?.name.bytes ? link : nil
    let integrity = first(\.integrity) ?? link?.integrity
    let function = first(\.merkleHash) ?? link?.function ?? .sha256
    let addressing = first(\.addressing) ?? link?.addressing
    let chunkSize = first(\.chunkSize) ?? link?.chunkSize ?? WireFormat.variableChunkSize
    let index = (id ?? link?.name.bytes).flatMap { id in
      swarm(
        SwarmTerms(
          id: id,
          integrity: integrity,
          function: function,
          addressing: addressing,
          chunkSize: chunkSize
        )
      )
    }
    let algorithm = first(\.signatureAlgorithm).flatMap(SignatureAlgorithm.init(rawValue:))
    let isTree = integrity == .merkleTree || integrity == .unifiedMerkleTree
    // Who has not been heard yet may speak ours.
    let speakOurs = offers.allSatisfy { offer in
      guard let offer else { return true }
      return offer.supported?.contains(Message.extensionType) ?? false
    }
    var format: WireFormat?
    // Byte ranges name no chunks as long as the size of chunks is not known.
    if let addressing, addressing != .byteRanges64 || chunkSize != WireFormat.variableChunkSize {
      format = WireFormat(
        addressing: addressing,
        signatureLength: integrity?.isSigned == true
          ? index.flatMap { swarms[$0].signatureLength } ?? algorithm?.signatureLength ?? 0 : 0,
        hashLength: isTree ? function.length : 0,
        chunkSize: chunkSize,
        allowsExtensions: speakOurs
      )
    }
    update(name) { end in
      end.format = format
      end.integrity = integrity
      end.swarm = index
    }
  }
}

extension ChannelEnd {
  fileprivate init(offer: HandshakeOptions, isInitiator: Bool, opened: Duration?) {
    self.init()
    self.offer = offer
    self.isInitiator = isInitiator
    self.opened = opened
  }
}

extension Swarm.Link {
  /// What the hashes of its swarm are made with.
  fileprivate var function: HashFunction {
    if case .content(let root) = name { root.function } else { .sha256 }
  }
}

extension SignatureAlgorithm {
  /// Bytes of a signature, where the algorithm alone says it.
  fileprivate var signatureLength: Int? {
    switch self {
    case .ecdsaP256SHA256, .ed25519: 64
    case .ecdsaP384SHA384: 96
    case .ed448: 114
    case .rsaSHA1, .rsaSHA256: nil
    }
  }
}
