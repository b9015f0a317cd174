#ifndef API_TESTING_PROTO_TABLE_H_
#define API_TESTING_PROTO_TABLE_H_

#include <functional>
#include <string>

namespace berth::testing {

// Compares what protoc makes of the .proto files of `folder` ("api/shim/") with
// the table of a protocol, `folder` + "testdata/" + `table`, row by row and
// both ways; each difference fails the test that calls. The columns,
// tab-separated: file (relative to the folder), package, kind (rpc, message
// without fields, field, enum), owner, member, number, type, cardinality.
//
// `table_name` turns a name of ours into the table's: a type's full one, or a
// value's of an enumeration. Needs protoc.
void ExpectMatchesTable(
    const std::string& folder, const std::string& table,
    const std::function<std::string(const std::string&)>& table_name);

}  // namespace berth::testing

#endif  // API_TESTING_PROTO_TABLE_H_
