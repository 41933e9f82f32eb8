;; Imports a function that its interface does not have.
;; must: skill-unusable
(component
  (import "wasi:random/random@0.2.0" (instance $random (export "get-the-seed" (func (result u64)))))
  (core func $get (canon lower (func $random "get-the-seed")))
  (core module $m
    (import "host" "get" (func $get (result i64)))
    (func (export "attack") (drop (call $get))))
  (core instance $i (instantiate $m (with "host" (instance (export "get" (func $get))))))
  (func (export "attack") (canon lift (core func $i "attack"))))
