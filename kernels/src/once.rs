//! Kernels that are compiled once.

/// Declares a trait of kernels that `f32` and `f64` implement by the same bodies, which stand with the declaration.
///
/// A generic function is compiled anew in every crate that calls it, with all that is inlined into it; a function of such a trait is
/// compiled in this crate, once for each type. So whatever holds a `dispatch!` is one. The traits are [`Element`](crate::Element)'s, and
/// cannot be named outside.
macro_rules! compiled_once {
    ($(#[$doc:meta])* trait $name:ident {
        $($(#[$about:meta])* fn $function:ident($($argument:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block)*
    }) => {
        $(#[$doc])*
        #[allow(unreachable_pub, private_interfaces, reason = "sealed: it stands in the bounds of a public trait")]
        pub trait $name: Sized {
            $($(#[$about])* fn $function($($argument: $type),*) $(-> $out)?;)*
        }
        $crate::once::compiled_once!(@of f32 $name $($function($($argument: $type),*) ($($out)?) $body)*);
        $crate::once::compiled_once!(@of f64 $name $($function($($argument: $type),*) ($($out)?) $body)*);
    };
    (@of $scalar:ident $name:ident $($function:ident($($argument:ident: $type:ty),*) ($($out:ty)?) $body:block)*) => {
        #[allow(private_interfaces, reason = "sealed, as the trait")]
        impl $name for $scalar {
            $(fn $function($($argument: $type),*) $(-> $out)? $body)*
        }
    };
}
pub(crate) use compiled_once;
