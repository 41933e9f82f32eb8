;; All that it exports belongs to a resource, which JSON can't carry.
;; must: nothing-callable
(component
  (type $thing' (resource (rep i32)))
  (core func $new (canon resource.new $thing'))
  (core module $m
    (import "host" "new" (func $new (param i32) (result i32)))
    (func (export "make") (result i32) (call $new (i32.const 0)))
    (func (export "attack") (param i32)))
  (core instance $i (instantiate $m (with "host" (instance (export "new" (func $new))))))
  (func $make' (result (own $thing')) (canon lift (core func $i "make")))
  (func $attack' (param "self" (borrow $thing')) (canon lift (core func $i "attack")))
  (component $shape
    (import "thing" (type $thing (sub resource)))
    (import "make" (func $make (result (own $thing))))
    (import "attack" (func $attack (param "self" (borrow $thing))))
    (export $exported "thing" (type $thing))
    (export "[constructor]thing" (func $make) (func (result (own $exported))))
    (export "[method]thing.attack" (func $attack) (func (param "self" (borrow $exported)))))
  (instance $things (instantiate $shape
    (with "thing" (type $thing'))
    (with "make" (func $make'))
    (with "attack" (func $attack'))))
  (export "evil:corp/things" (instance $things)))
