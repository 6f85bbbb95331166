/**
 * MQTT 5.0 on the floor of bytes and packets: what the floors above use of it. 3.1 and 3.1.1 have
 * the files beside this folder.
 */
export { ACK_BYTES_MAX_5, filterAckFrame5, writeAck5 } from './ack-frame.js';
export { copyRunWithAlias } from './aliased-run.js';
export { ConnectVersion, connectVersionOf } from './connect-version.js';
export { type FilterPacket5, openSubscribe5, openUnsubscribe5 } from './filter-packet.js';
export { fitToMaximumPacketSize } from './fit-packet.js';
export { FrameScan5 } from './frame-scan.js';
export * from './packet.js';
export {
  decodeProperties,
  encodeProperties,
  NO_PROPERTIES,
  type Properties,
  type UserProperty,
} from './properties.js';
export {
  PROPERTIES,
  type PropertyHolder,
  PropertyId,
  type PropertyRule,
  PropertyType,
  Sender,
  WILL_PROPERTIES,
} from './property.js';
export { checkProperties, PROPERTIES_OK, propertyError } from './property-check.js';
export {
  findField,
  findProperty,
  isPayloadText,
  messageExpiryIn,
  NOT_THERE,
  propertyEnd,
  subscriptionIdentifierIn,
  topicAliasIn,
  uint16At,
  uint32At,
} from './property-find.js';
export { PublishForm } from './publish-form.js';
export { MESSAGE_EXPIRY_BYTES, PublishView, TOPIC_ALIAS_BYTES } from './publish-view.js';
export { parsePacket5 } from './read-packet.js';
export {
  fromConnackCode,
  GRANTED_QOS_0,
  isErrorCode,
  isReasonCodeAllowed,
  NORMAL_DISCONNECTION,
  ReasonCode,
  reasonName,
  toConnackCode,
} from './reason-code.js';
export { propertyBytesOf } from './run-check.js';
export {
  isShareFilter,
  parseShareFilter,
  type ShareFilter,
  toShareFilter,
} from './share-filter.js';
export { RETAIN_HANDLING_SHIFT, SubscriptionOption } from './subscription-options.js';
export { checkUtf8, Utf8Fault } from './utf8.js';
export {
  VARIABLE_BYTE_INTEGER_MAX,
  variableByteIntegerAt,
  variableByteIntegerBytes,
  variableByteIntegerEnd,
  writeVariableByteInteger,
} from './variable-byte-integer.js';
export { encodePacket5 } from './write-packet.js';
