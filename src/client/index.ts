/** Public names of `surgemq/client`. */
export {
  ArgumentError,
  CapacityError,
  ClosedError,
  ConfigError,
  ConnectFailedError,
  ConnectionLostError,
  ConnectRefusedError,
  PacketRejectedError,
  ProtocolError,
  SubscribeRefusedError,
  TimeoutError,
} from '../base/errors.js';
export type { ProtocolVersion, QoS } from '../protocol/packet.js';
export type { CallOptions } from './call.js';
export { Client, connect } from './client.js';
export type {
  ClientEvents,
  ClientState,
  DisconnectOptions,
} from './client-events.js';
export { compileFilter, matches } from './matcher.js';
export { Message, type MessageHandler, type Payload } from './message.js';
export { MessageStream } from './message-stream.js';
export type { MessagesOptions } from './messages-options.js';
export type { ClientOptions, Duration, ReconnectOptions, WillOptions } from './options.js';
export type { PublishOptions } from './outgoing.js';
export type { PublishFailure } from './outgoing-faults.js';
export type {
  FilterMap,
  Filters,
  SubscribeOptions,
  SubscribeRequest,
} from './subscribe-arguments.js';
export type { GrantedSubscription } from './subscription-requests.js';
