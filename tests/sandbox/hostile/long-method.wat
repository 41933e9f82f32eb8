;; Gives a request a method of 60,000 letters, which the host would keep: refused, unlike a short one.
;; must: answered 1
(component
  (import "wasi:http/types@0.2.0" (instance $http
    (export "fields" (type $fields (sub resource)))
    (export "headers" (type $headers (eq $fields)))
    (export "outgoing-request" (type $request (sub resource)))
    (type $cases (variant (case "get") (case "head") (case "post") (case "put") (case "delete") (case "connect")
      (case "options") (case "trace") (case "patch") (case "other" string)))
    (export "method" (type $method (eq $cases)))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[constructor]outgoing-request" (func (param "headers" (own $headers)) (result (own $request))))
    (export "[method]outgoing-request.set-method"
      (func (param "self" (borrow $request)) (param "method" $method) (result (result))))))
  (core module $memory
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
  (core instance $memory (instantiate $memory))
  (core func $fields (canon lower (func $http "[constructor]fields")))
  (core func $request (canon lower (func $http "[constructor]outgoing-request")))
  (core func $set (canon lower (func $http "[method]outgoing-request.set-method")
    (memory (core memory $memory "memory"))))
  (core module $m
    (import "host" "memory" (memory 1))
    (import "host" "fields" (func $fields (result i32)))
    (import "host" "request" (func $request (param i32) (result i32)))
    (import "host" "set" (func $set (param i32 i32 i32 i32) (result i32)))
    (func (export "attack") (result i32)
      (local $request i32)
      (memory.fill (i32.const 0) (i32.const 0x41) (i32.const 60000))
      (local.set $request (call $request (call $fields)))
      (i32.add
        (i32.mul (i32.const 2) (call $set (local.get $request) (i32.const 9) (i32.const 0) (i32.const 60)))
        (call $set (local.get $request) (i32.const 9) (i32.const 0) (i32.const 60000)))))
  (core instance $i (instantiate $m
    (with "host" (instance
      (export "memory" (memory $memory "memory"))
      (export "fields" (func $fields)) (export "request" (func $request)) (export "set" (func $set))))))
  (func (export "attack") (result u32) (canon lift (core func $i "attack"))))
